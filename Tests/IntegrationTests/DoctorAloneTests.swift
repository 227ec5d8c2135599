import DesktopLab
import Foundation
import Testing

/// The agent's own doctor, on a desktop of its own network with a real libvirtd, and neither a manager nor an agent.
/// What is missing in each test is really missing, as far as one machine allows: by namespaces, mounts and capabilities.
@Suite(
    "A desktop that is looked at by its own agent's program", .serialized, .enabled(if: isRoot),
    .lab(
        LabConfiguration(
            desktops: 1, machines: 0, directory: "/var/lib/holdfast-it-alone", startsProducts: false,
            hypervisor: .libvirt)))
struct DoctorAloneTests {
    private let lab: Lab
    private let folder: String

    init() throws {
        lab = try CurrentLab.required().lab
        folder = "\(lab.folders.root)/alone"
        for name in ["state", "storage", "repository/staging", "repository/snapshots", "repository/trash"] {
            try FileManager.default.createDirectory(atPath: "\(folder)/\(name)", withIntermediateDirectories: true)
        }
        try #"{"format": "holdfast-repository", "version": 1}"#.write(
            toFile: "\(folder)/repository/holdfast-repository.json", atomically: true, encoding: .utf8)
    }

    private func doctor(
        allow: String = #"["*"]"#, libvirt: String? = nil, repository: String? = nil,
        through wrapper: [String] = [], options: [String] = []
    ) async throws -> CommandResult {
        let configuration = """
            host: alone
            state: \(folder)/state
            storage: \(folder)/storage
            repository: \(repository ?? "\(folder)/repository")
            libvirt: "\(libvirt ?? lab.desktops[0].libvirt)"
            allow: \(allow)

            """
        let file = "\(folder)/agent.yaml"
        try configuration.write(toFile: file, atomically: true, encoding: .utf8)
        return try await lab.agentProgram(
            ["doctor", "--config", file] + options, desktop: 1, through: wrapper)
    }

    /// The problems but the one that all have: nobody has enrolled this desktop.
    private func problems(
        allow: String = #"["*"]"#, libvirt: String? = nil, repository: String? = nil, through wrapper: [String] = []
    ) async throws -> Set<String> {
        let answer = try DoctorAnswer(
            try await doctor(
                allow: allow, libvirt: libvirt, repository: repository, through: wrapper,
                options: ["--output", "json"]))
        #expect(answer.status == 33)
        #expect(answer.names.contains("blocker enrolment"))
        return answer.names.subtracting(["blocker enrolment"])
    }

    /// A mount namespace of its own, in which the commands are run before the program.
    private func mounting(_ commands: String) -> [String] {
        ["unshare", "-m", "--propagation", "private", "sh", "-ec", "\(commands); exec \"$@\"", "sh"]
    }

    @Test("A desktop that lacks nothing but its enrolment; it is named, with what to do, and by the exit code")
    func sound() async throws {
        #expect(try await problems() == [])
        let people = try await doctor()
        #expect(people.status == 33)
        #expect(people.standardOutput.contains("BLOCKER  enrolment"))
        #expect(people.standardOutput.contains("holdfast-agent enroll"))
        #expect(!people.standardOutput.contains("rights"))
        let all = try await doctor(options: ["--verbose"])
        #expect(all.standardOutput.contains("ok       rights"))
        // It leaves nothing: no rule, no queue, no file.
        let rules = try await lab.run(["iptables-nft-save"], in: .desktop(1))
        #expect(rules.standardOutput == "")
        let queues = try await lab.run(["cat", "/proc/net/netfilter/nfnetlink_queue"], in: .desktop(1))
        #expect(queues.standardOutput == "")
        #expect(try FileManager.default.contentsOfDirectory(atPath: "\(folder)/storage/epochs") == [])
    }

    @Test("A configuration that is not there, or misspelt, is a failure of its own")
    func misconfigured() async throws {
        let missing = try await lab.agentProgram(["doctor", "--config", "\(folder)/none.yaml"], desktop: 1)
        #expect(missing.status == 64, "\(missing.standardError)")
    }

    @Test("Without the capabilities", arguments: ["net_admin", "net_raw"])
    func rights(capability: String) async throws {
        let found = try await problems(through: ["setpriv", "--bounding-set", "-\(capability)", "--"])
        #expect(found == ["blocker rights"])
    }

    @Test("Without br_netfilter")
    func kernel() async throws {
        #expect(try await problems(through: mounting("mount -t tmpfs none /proc/sys/net/bridge")) == ["blocker kernel"])
    }

    @Test("With a packet filter whose tools fail")
    func packetFilter() async throws {
        let found = try await problems(through: mounting("mount --bind /bin/false /usr/sbin/xtables-nft-multi"))
        #expect(found == ["blocker packet-filter"])
    }

    @Test("With the legacy variant of iptables")
    func legacyPacketFilter() async throws {
        let links = ["iptables-restore", "iptables-save", "ip6tables-restore", "ip6tables-save"]
            .map { "ln -s xtables-legacy-multi /usr/sbin/\($0)" }.joined(separator: "; ")
        let found = try await problems(
            through: mounting(
                """
                cp /usr/sbin/xtables-legacy-multi '\(folder)/legacy'; mount -t tmpfs none /usr/sbin; \
                cp '\(folder)/legacy' /usr/sbin/xtables-legacy-multi; \(links)
                """))
        #expect(found == ["warning packet-filter"])
    }

    @Test("With a firewall that drops what is forwarded", arguments: ["iptables-nft", "ip6tables-nft"])
    func firewall(tool: String) async throws {
        _ = try await lab.run([tool, "-P", "FORWARD", "DROP"], in: .desktop(1))
        let found = try await problems()
        for table in ["-P", "-F"] {
            let arguments = table == "-P" ? ["-P", "FORWARD", "ACCEPT"] : ["-F", "FORWARD"]
            _ = try await lab.run([tool] + arguments, in: .desktop(1))
        }
        _ = try await lab.run(["nft", "flush", "ruleset"], in: .desktop(1))
        #expect(found == ["warning firewall"])
    }

    @Test("With another program at a queue")
    func queues() async throws {
        try await withQueueTaken(7_101, on: lab, desktop: 1) {
            let found = try await problems()
            #expect(found == ["blocker queues"])
        }
    }

    @Test("Without qemu-img")
    func tools() async throws {
        #expect(try await problems(through: ["env", "PATH=/nowhere"]) == ["blocker tools"])
    }

    @Test("Without a hypervisor's daemon")
    func hypervisor() async throws {
        let found = try await problems(libvirt: "qemu+unix:///system?socket=\(folder)/none")
        #expect(found == ["blocker hypervisor"])
    }

    @Test("With a daemon that hangs")
    func hangingHypervisor() async throws {
        let daemon = try #require(try lab.processes().first { $0.process.role.hasPrefix("libvirtd") }?.process)
        kill(daemon.pid, SIGSTOP)
        defer { kill(daemon.pid, SIGCONT) }
        #expect(try await problems() == ["blocker hypervisor"])
    }

    @Test("With an owner who allows no VM")
    func allowList() async throws {
        #expect(try await problems(allow: "[]") == ["warning allow-list"])
        let warned = try DoctorAnswer(try await doctor(allow: "[]", options: ["--output", "json", "--strict"]))
        #expect(warned.status == 33)
    }

    @Test("With a storage folder that cannot be written")
    func storage() async throws {
        let found = try await problems(through: mounting("mount -t tmpfs -o ro none '\(folder)/storage'"))
        #expect(found == ["blocker storage"])
    }

    @Test("With a repository that is none, or that cannot be written")
    func repository() async throws {
        #expect(try await problems(repository: "\(folder)/state") == ["blocker repository"])
        #expect(try await problems(repository: "\(folder)/none") == ["blocker repository"])
        let found = try await problems(
            through: mounting(
                "mount --bind '\(folder)/repository' '\(folder)/repository'; "
                    + "mount -o remount,bind,ro '\(folder)/repository'"))
        #expect(found == ["blocker repository"])
    }

    @Test("With a repository without a byte of room")
    func fullRepository() async throws {
        let small = "\(folder)/small"
        let found = try await problems(
            repository: small,
            through: mounting(
                """
                mkdir -p '\(small)'; mount -t tmpfs -o size=64k none '\(small)'; cp -r '\(folder)/repository/.' '\(small)/'; \
                dd if=/dev/zero of='\(small)/filling' bs=4k 2>/dev/null || true
                """))
        #expect(found == ["blocker repository-space"])
    }
}

/// Runs `body` while another program, tcpdump, is bound to a netfilter queue.
func withQueueTaken(_ number: Int, on lab: Lab, desktop: Int, _ body: () async throws -> Void) async throws {
    let program = Process()
    program.executableURL = URL(filePath: "/usr/bin/env")
    program.arguments = lab.command(
        ["tcpdump", "-i", "nfqueue:\(number)", "-w", "/dev/null"], in: .desktop(desktop))
    program.standardError = FileHandle.nullDevice
    try program.run()
    func isBound() async throws -> Bool {
        let queues = try await lab.run(["cat", "/proc/net/netfilter/nfnetlink_queue"], in: .desktop(desktop))
        return queues.standardOutput.split(separator: "\n").contains { $0.split(separator: " ").first == "\(number)" }
    }
    func end() async throws {
        // It reads on when it is asked to end.
        kill(program.processIdentifier, SIGKILL)
        program.waitUntilExit()
        while try await isBound() { try await Task.sleep(for: .milliseconds(10)) }
    }
    do {
        while try await !isBound() {
            try #require(program.isRunning)
            try await Task.sleep(for: .milliseconds(10))
        }
        try await body()
    } catch {
        try await end()
        throw error
    }
    try await end()
}
