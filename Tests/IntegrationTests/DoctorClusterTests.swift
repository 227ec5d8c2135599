import DesktopLab
import Foundation
import Testing

/// `holdfast doctor` as a user has it: through the manager, on real desktops with real guests, with real markers.
@Suite(
    "A cluster that is looked at", .serialized, .enabled(if: isRoot), .timeLimit(.minutes(20)),
    .lab(FaultCampaign.configuration(directory: "/var/lib/holdfast-it-doctor", hypervisor: .libvirt)))
struct DoctorClusterTests {
    let exercise: ClusterExercise
    var lab: Lab { exercise.lab }

    init() throws { exercise = try CurrentLab.required() }

    func doctor(_ arguments: String...) async throws -> DoctorAnswer {
        try DoctorAnswer(try await lab.holdfast(["doctor"] + arguments + ["--output", "json"]))
    }

    private func cluster() async throws -> DoctorAnswer { try await doctor(exercise.cluster) }

    /// Waits until something holds; the suite's time limit ends a wait in vain.
    private func wait(until isTrue: () async throws -> Bool) async throws {
        while try await !isTrue() { try await Task.sleep(for: .milliseconds(10)) }
    }

    private func network(_ command: [String]) async throws {
        let result = try await lab.run(command, in: .network)
        try #require(result.succeeded, "\(command): \(result.standardError)")
    }

    /// Runs `body` with a rule at the switch between the desktops.
    private func withRule(_ rule: String..., body: () async throws -> Void) async throws {
        let chain = ["iptables-nft", "-t", "mangle"]
        try await network(["ip", "link", "set", "br0", "type", "bridge", "nf_call_iptables", "1"])
        try await network(chain + ["-A", "FORWARD"] + rule)
        do {
            try await body()
        } catch {
            try await network(chain + ["-F", "FORWARD"])
            throw error
        }
        try await network(chain + ["-F", "FORWARD"])
    }

    // MARK: Nothing is wrong

    @Test("Nothing stands in the way of a sound cluster; its guests notice nothing, and nothing is left")
    func sound() async throws {
        let ends = lab.logEnds()
        for _ in 0..<3 {
            let answer = try await cluster()
            #expect(answer.problems.isEmpty, "\(answer.problems)")
            #expect(answer.status == 0)
            let checks = Set(answer.diagnosis.findings.map(\.check))
            #expect(checks.isSuperset(of: ["cut", "placement", "path", "path-colour", "path-time", "clock", "queues"]))
            let times = answer.diagnosis.findings.filter { $0.check == "path-time" }.map(\.text)
            print("doctor: \(times)")
        }
        #expect(try await doctor().problems.isEmpty)
        #expect(try await doctor("--host", "desktop-1", "--strict").status == 0)
        try await lab.waitUntilTalking(since: ends)
        #expect(try await exercise.waysToUserSpace() == 0)
        for name in lab.machines.map(\.name) {
            let reports = try lab.witnessReports(of: name, since: ends[name] ?? 0)
            #expect(!reports.isEmpty)
        }
        let snapshot = try await exercise.snapshot()
        #expect(snapshot.sealed)
        #expect(snapshot.packetsOutsideEpoch == 0)
        _ = try await lab.holdfast(["snapshot", "delete", snapshot.id])
        let unknown = try await lab.holdfast(["doctor", "--host", "desktop-9"])
        #expect(unknown.status == 5, "\(unknown.standardError)")
    }

    @Test("The agent's own program, beside the agent, leaves to it what it alone can look at")
    func besideTheAgent() async throws {
        let result = try await lab.agentProgram(
            ["doctor", "--config", lab.folders.agentConfiguration(1), "--output", "json"], desktop: 1)
        let answer = try DoctorAnswer(result)
        #expect(answer.status == 0)
        #expect(answer.names == ["warning cut"], "\(answer.problems)")
        #expect(answer.problems.allSatisfy { $0.text.contains("the agent runs") })
        #expect(answer.diagnosis.findings.contains { $0.check == "enrolment" && $0.level == "ok" })
        // The agent has noticed nothing.
        #expect(try await cluster().status == 0)
    }

    // MARK: Members

    @Test("A member that is paused, and one that is off")
    func state() async throws {
        let machine = lab.machines[1]
        _ = try await lab.virsh(["suspend", machine.name], desktop: machine.desktop)
        let paused = try await cluster()
        _ = try await lab.virsh(["resume", machine.name], desktop: machine.desktop)
        #expect(paused.status == 33)
        #expect(paused.names == ["blocker vm-state", "blocker member"])
        #expect(paused.problems.allSatisfy { $0.subject.vm == machine.name })
        // The others are tested all the same.
        #expect(paused.diagnosis.findings.contains { $0.check == "path" && $0.level == "ok" })

        let snapshot = try await exercise.snapshot()
        try await lab.killMachine(machine.name)
        try await wait {
            try await lab.states()[machine.name]?[machine.desktop] == "shut off"
        }
        let off = try await cluster()
        #expect(off.names == ["blocker member"])
        #expect(try await doctor("--host", lab.desktops[machine.desktop - 1].name).status == 0)
        let restored = try await exercise.killAndRestore(snapshot.id)
        #expect(restored.judgement.isWhole, "\(restored.judgement)")
        _ = try await lab.holdfast(["snapshot", "delete", snapshot.id])
    }

    @Test("A member that its desktop's owner does not allow")
    func allowList() async throws {
        let file = lab.folders.agentConfiguration(2)
        let former = try String(contentsOfFile: file, encoding: .utf8)
        try await lab.killAgent(desktop: 2)
        try former.replacingOccurrences(of: #"allow: ["*"]"#, with: #"allow: ["another"]"#)
            .write(toFile: file, atomically: true, encoding: .utf8)
        try await lab.restartAgent(desktop: 2)
        // Where it runs is known only from its last snapshot.
        let snapshot = try await lab.holdfast(["snapshot", "create", exercise.cluster])
        let answer = try await cluster()
        try await lab.killAgent(desktop: 2)
        try former.write(toFile: file, atomically: true, encoding: .utf8)
        try await lab.restartAgent(desktop: 2)
        #expect(snapshot.status != 0)
        let hidden = lab.machines.filter { $0.desktop == 2 }.map(\.name)
        #expect(answer.names.isSuperset(of: ["blocker member", "blocker allow-list"]), "\(answer.problems)")
        #expect(answer.problems.filter { $0.check == "allow-list" }.allSatisfy { hidden.contains($0.subject.vm ?? "") })
        #expect(try await cluster().status == 0)
    }

    // MARK: Desktops

    @Test("A desktop whose agent is killed")
    func agent() async throws {
        try await lab.killAgent(desktop: 2)
        try await wait { try await !lab.holdfast(["agents", "--output", "json"]).standardOutput.allConnected }
        let all = try await doctor()
        let members = try await cluster()
        try await lab.restartAgent(desktop: 2)
        #expect(all.names == ["warning agent"])
        #expect(all.status == 0)
        #expect(
            members.names(on: "desktop-2").isSuperset(of: ["blocker agent", "blocker member"]), "\(members.problems)")
        #expect(members.status == 33)
    }

    @Test("A desktop whose clock is an hour ahead")
    func clock() async throws {
        let clock = try #require(DesktopClock(lab.configuration, desktop: 1), "libfaketime is not installed")
        try clock.install()
        try await lab.killAgent(desktop: 1)
        try await lab.restartAgent(desktop: 1)
        let right = try await cluster()
        try clock.step(to: 3_600)
        let wrong = try await cluster()
        try clock.step(to: 0)
        try await lab.killAgent(desktop: 1)
        clock.remove()
        try await lab.restartAgent(desktop: 1)
        #expect(right.problems.isEmpty, "\(right.problems)")
        #expect(wrong.names == ["warning clock"])
        let found = try #require(wrong.problems.first)
        #expect(found.subject.host == "desktop-1")
        #expect(found.text.contains("ahead of"))
        #expect(try #require(found.text.split(separator: " ").compactMap { Double($0) }.first) > 3_599_000)
    }

    @Test("Another program at a queue: the queue is named, and that no gate can be armed")
    func queues() async throws {
        try await withQueueTaken(7_100, on: lab, desktop: 1) {
            let answer = try await cluster()
            #expect(answer.names(on: "desktop-1") == ["blocker queues", "blocker path"])
            #expect(answer.names(on: "desktop-2") == [])
            let host = try await doctor("--host", "desktop-1")
            #expect(host.names == ["blocker queues"])
        }
        let after = try await cluster()
        #expect(after.problems.isEmpty, "\(after.problems)")
    }

    @Test("A repository and a storage folder without room, and a repository that is read-only")
    func room() async throws {
        let rooms = try #require(lab.configuration.rooms)
        let storage = SmallRoom(path: lab.folders.workspace(1), size: rooms.workspace)
        try storage.fill()
        let withoutStorage = try await cluster()
        try storage.empty()
        #expect(withoutStorage.names(on: "desktop-1").contains("blocker storage-space"), "\(withoutStorage.problems)")
        #expect(withoutStorage.names(on: "desktop-2") == [])

        let repository = SmallRoom(path: lab.folders.repository, size: rooms.repository)
        try repository.fill()
        let withoutRepository = try await cluster()
        try repository.empty()
        for host in ["desktop-1", "desktop-2"] {
            #expect(withoutRepository.names(on: host) == ["blocker repository-space"])
        }

        let remounted = mount(nil, lab.folders.repository, nil, UInt(MS_REMOUNT | MS_RDONLY), nil)
        try #require(remounted == 0)
        let readOnly = try await cluster()
        try #require(mount(nil, lab.folders.repository, nil, UInt(MS_REMOUNT), nil) == 0)
        #expect(readOnly.names == ["blocker repository"])
        #expect(Set(readOnly.problems.map(\.subject.kind)) == ["manager", "desktop"])
        #expect(try await cluster().status == 0)
    }

    // MARK: Paths

    @Test("A path on which a rule drops the markers one way")
    func lostMarkers() async throws {
        let (first, second) = (lab.machines[0], lab.machines[1])
        try await withRule("-m", "mac", "--mac-source", first.mac, "-p", "udp", "--dport", "46357", "-j", "DROP") {
            let answer = try await cluster()
            #expect(answer.names == ["warning path"])
            #expect(answer.status == 0)
            #expect(answer.problems.allSatisfy { $0.subject.sender == first.name })
            #expect(answer.problems.contains { $0.subject.receiver == second.name })
        }
    }

    @Test("A path on which a rule takes the colour off")
    func bleached() async throws {
        try await withRule("-p", "udp", "--dport", "46357", "-j", "TOS", "--set-tos", "0x00/0x04") {
            let answer = try await cluster()
            #expect(answer.names == ["warning path-colour"])
        }
    }

    @Test("A path on which the first markers are lost")
    func late() async throws {
        let first = lab.machines[0]
        try await withRule(
            "-m", "mac", "--mac-source", first.mac, "-p", "udp", "--dport", "46357", "-m", "statistic", "--mode", "nth",
            "--every", "2", "--packet", "0", "-j", "DROP"
        ) {
            let answer = try await cluster()
            #expect(answer.names == ["warning path-time"])
        }
    }

    // MARK: Epochs go before

    /// All markers are lost, so that a path test lasts for as long as it may.
    private func withLongPathTest(body: (Task<DoctorAnswer, any Error>) async throws -> Void) async throws {
        try await withRule("-p", "udp", "--dport", "46357", "-j", "DROP") {
            let diagnosis = Task { try await cluster() }
            try await wait { try await exercise.waysToUserSpace() > 0 }
            try await body(diagnosis)
            _ = try? await diagnosis.value
        }
    }

    @Test("A snapshot that is asked for in the middle of a path test ends it and is sealed")
    func snapshotGoesBefore() async throws {
        for mode in ["hold", "colour"] {
            try await withLongPathTest { diagnosis in
                let snapshot = try await exercise.snapshot(mode: mode)
                #expect(snapshot.sealed)
                #expect(snapshot.packetsOutsideEpoch == 0)
                let answer = try await diagnosis.value
                #expect(answer.names == ["warning path"], "\(answer.problems)")
                #expect(answer.problems.contains { $0.subject.kind != "channel" }, "\(answer.problems)")
                _ = try await lab.holdfast(["snapshot", "delete", snapshot.id])
            }
            #expect(try await exercise.waysToUserSpace() == 0)
        }
    }

    @Test("A packet filter that somebody changes in the middle of a path test, as it would break an epoch")
    func foreignChange() async throws {
        let rule = ["FORWARD", "-s", "192.0.2.1", "-j", "ACCEPT"]
        try await withLongPathTest { diagnosis in
            _ = try await lab.run(["iptables-nft", "-A"] + rule, in: .desktop(1))
            let answer = try await diagnosis.value
            _ = try await lab.run(["iptables-nft", "-D"] + rule, in: .desktop(1))
            #expect(answer.names == ["blocker path"], "\(answer.problems)")
            #expect(answer.problems.map(\.subject.host) == ["desktop-1"])
            #expect(answer.problems.first?.text.contains("iptables") == true, "\(answer.problems)")
        }
        #expect(try await exercise.waysToUserSpace() == 0)
    }

    @Test("Diagnoses and snapshots at the same time: all snapshots are sealed, and nothing is left")
    func manyAtOnce() async throws {
        // Not by cancelling: that would kill the program.
        let (words, word) = AsyncStream.makeStream(of: Void.self)
        let diagnoses = Task {
            var all: [DoctorAnswer] = []
            for await _ in words {
                all.append(try await cluster())
                word.yield()
            }
            return all
        }
        word.yield()
        for mode in ["hold", "colour", "hold", "colour"] {
            let snapshot = try await exercise.snapshot(mode: mode)
            #expect(snapshot.sealed)
            _ = try await lab.holdfast(["snapshot", "delete", snapshot.id])
        }
        word.finish()
        let answers = try await diagnoses.value
        #expect(!answers.isEmpty)
        // What was not tried out is a warning, and nothing else.
        let untried: Set = ["warning path", "warning cut", "warning member", "warning vm-state"]
        for answer in answers { #expect(answer.names.isSubset(of: untried), "\(answer.problems)") }
        #expect(try await exercise.waysToUserSpace() == 0)
    }

    @Test("A manager that is killed in the middle of a path test leaves no gate armed")
    func managerKilled() async throws {
        try await withLongPathTest { _ in
            try await lab.killManager()
            let began = ContinuousClock.now
            try await wait { try await exercise.waysToUserSpace() == 0 }
            print("doctor: gates open \(began.duration(to: .now)) after the manager was killed")
            #expect(began.duration(to: .now) < .seconds(15))
        }
        try await lab.restartManager()
        try await wait { try await lab.holdfast(["agents", "--output", "json"]).standardOutput.allConnected }
        try await lab.waitUntilTalking(since: lab.logEnds())
        #expect(try await cluster().status == 0)
    }

    @Test("An agent that is killed in the middle of a path test stops no traffic, and its rules go when it is back")
    func agentKilled() async throws {
        try await withLongPathTest { diagnosis in
            try await lab.killAgent(desktop: 1)
            let ends = lab.logEnds()
            try await lab.waitUntilTalking(since: ends)
            let answer = try await diagnosis.value
            #expect(answer.names.contains("blocker path"), "\(answer.problems)")
            try await lab.restartAgent(desktop: 1)
        }
        #expect(try await exercise.waysToUserSpace() == 0)
        let after = try await cluster()
        #expect(after.problems.isEmpty, "\(after.problems)")
    }
}

extension String {
    /// Of what `holdfast agents` prints.
    fileprivate var allConnected: Bool { contains(#""connected" : true"#) && !contains(#""connected" : false"#) }
}
