import DesktopLab
import Foundation
import Glibc
import Hypervisor
import NIOConcurrencyHelpers

extension Trial {
    /// A member as a repository keeps it.
    private struct Stored {
        var request: LoadRequest
        var bytes: [UInt8]
        /// The guest's last words before the cut.
        var last: WitnessReport

        func remove() {
            for path in [request.image] + request.disks.values + request.files.values { unlink(path) }
        }
    }

    private func store() async throws -> Stored {
        let sink = CollectingSink()
        let witness = try witness()
        let last = NIOLockedValueBox<WitnessReport?>(nil)
        let cut = try await prepare(sink)
        let description = try await driver.description(of: fixture.uuid)
        _ = try await cut.perform { last.withLockedValue { $0 = witness.latest } }
        try await cut.imageComplete()
        var request = LoadRequest(
            uuid: fixture.uuid, name: fixture.name, image: "\(fixture.scratch)/image", description: description,
            disks: [:])
        for disk in cut.frozenDisks {
            let copy = "\(fixture.scratch)/copy-\(disk.target).qcow2"
            try await Command.require([
                "qemu-img", "convert", "-q", "-U", "-f", disk.format, "-O", "qcow2", disk.path, copy,
            ])
            request.disks[disk.target] = copy
        }
        for file in cut.frozenFiles {
            let copy = "\(fixture.scratch)/file-\(file.name)"
            try await Command.require(["cp", "-T", file.path, copy])
            request.files[file.name] = copy
        }
        await cut.finish()
        await cut.settled()
        let bytes = sink.collected
        try Data(bytes).write(to: URL(filePath: request.image))
        guard let said = last.withLockedValue({ $0 }) else { throw Breach("the guest has said nothing before the cut") }
        return Stored(request: request, bytes: bytes, last: said)
    }

    private func cannotLoad(_ what: String, _ request: LoadRequest) async throws {
        let error = try await refusal("to load \(what)") { try await driver.load(request) }
        guard case .cannotLoad = error else { throw Breach("to load \(what) says \(error)") }
    }

    func loadedGoesOnFromTheCut() async throws {
        let witness = try witness()
        let stored = try await store()
        defer { stored.remove() }
        let later = try await witness.report(after: witness.said) { $0.sequence > stored.last.sequence + 60 }
        try await driver.destroy(fixture.uuid)
        let place = witness.said
        let loaded = try await driver.load(stored.request)
        try require(loaded.state == .paused, "the loaded VM is \(loaded.state)")
        try require(loaded.uuid == fixture.uuid, "the loaded VM is \(loaded.uuid)")
        let paths = Dictionary(uniqueKeysWithValues: loaded.disks.map { ($0.target, $0.path) })
        for (target, path) in stored.request.disks {
            try require(paths[target] == path, "\(target) of the loaded VM is \(String(describing: paths[target]))")
        }
        for nic in loaded.nics {
            try require(nic.tap != nil && nic.bridge != nil, "\(nic.mac) of the loaded VM has no tap on a bridge")
        }
        let state = try await fixture.guestState()
        try require(state == .paused, "the loaded guest is \(state)")
        usleep(600_000)
        try require(witness.said == place, "the loaded guest speaks before it was resumed")
        try await driver.resume(fixture.uuid)
        let first = try await witness.report(after: place)
        try require(
            first.sequence >= stored.last.sequence && first.sequence < later.sequence,
            "the loaded guest's first report is \(first.sequence); the cut was at \(stored.last.sequence)")
        try await witness.report(after: place) { $0.diskSequence > first.diskSequence + 20 }
        let report = try await witness.report(after: witness.said)
        try require(report.diskMismatches == 0, "memory and disk of the loaded guest are not of one instant")
        try require(report.diskFailure == 0, "the loaded guest cannot use its disk: errno \(report.diskFailure)")
        let running = try await driver.machine(fixture.uuid)
        try require(running.state == .running, "the resumed VM is \(running.state)")
        try await driver.destroy(fixture.uuid)
    }

    func refusesADamagedImage() async throws {
        let stored = try await store()
        defer { stored.remove() }
        try await driver.destroy(fixture.uuid)
        let before = try await driver.machines()
        var flipped = stored.bytes
        flipped[3] ^= 1
        let noise = (0..<65_536).map { UInt8(truncatingIfNeeded: $0 &* 167 &+ $0 >> 7) }
        var overwritten = stored.bytes
        overwritten.replaceSubrange(0..<noise.count, with: noise)
        let damaged: [(String, [UInt8])] = [
            ("an empty image", []), ("fifty octets", Array(stored.bytes.prefix(50))),
            ("half an image", Array(stored.bytes.prefix(stored.bytes.count / 2))),
            // QEMU's stream ends in a text about itself, some tens of KiB, which loading does not need.
            ("an image without its end", Array(stored.bytes.dropLast(1 << 20))), ("an image with one bit set", flipped),
            ("an image with another beginning", overwritten), ("noise", noise),
        ]
        func nothingIsThere(_ what: String) async throws {
            let now = try await driver.machines()
            try require(now == before, "after \(what) was refused there are \(now)")
            let open = OpenFiles.below(fixture.scratch)
            try require(open.isEmpty, "after \(what) was refused still open: \(open.joined(separator: ", "))")
        }
        for (what, bytes) in damaged {
            var request = stored.request
            request.image = "\(fixture.scratch)/damaged"
            defer { unlink(request.image) }
            try Data(bytes).write(to: URL(filePath: request.image))
            try await cannotLoad(what, request)
            try await nothingIsThere(what)
        }
        var absent = stored.request
        absent.image = "\(fixture.scratch)/absent"
        try await cannotLoad("an image that is not there", absent)
        var another = stored.request
        another.description = another.description.replacing(fixture.uuid, with: "00000000-0000-0000-0000-00000000beef")
        try await cannotLoad("the description of another VM", another)
        try await nothingIsThere("the description of another VM")
        // And the whole one, so that the others were not refused for another reason.
        let loaded = try await driver.load(stored.request)
        try require(loaded.state == .paused, "the loaded VM is \(loaded.state)")
        try await driver.destroy(fixture.uuid)
        let text = try await driver.machines()
        try require(text.map(\.uuid) == before.map(\.uuid), "the list has become \(text)")
    }

    func refusesAForeignDescription() async throws {
        let nobody = "00000000-0000-0000-0000-00000000dead"
        let before = try await driver.machines().map(\.uuid)
        let other = before.contains(fixture.uuid) ? try await driver.description(of: fixture.uuid) : "<domain/>"
        for description in [
            "", "<domain/>", "{}", "\u{0}", other, String(other.prefix(other.count / 2)),
            "<!DOCTYPE d []><domain><uuid>\(nobody)</uuid></domain>",
        ] {
            try await cannotLoad(
                "\(description.prefix(60))",
                LoadRequest(uuid: nobody, name: "vm", image: "/nonexistent", description: description, disks: [:]))
        }
        let after = try await driver.machines().map(\.uuid)
        try require(before == after, "the list has become \(after)")
    }

    func refusesToLoadARunningMachine() async throws {
        let stored = try await store()
        defer { stored.remove() }
        try await allIsAsBefore()
        let before = try witness().latest?.sequence ?? 0
        try await cannotLoad("a VM that runs", stored.request)
        try await allIsAsBefore()
        let after = try witness().latest?.sequence ?? 0
        try require(after > before, "the guest was set back or started anew")
    }

    func keepsALoadedMachine() async throws {
        let stored = try await store()
        defer { stored.remove() }
        try await driver.destroy(fixture.uuid)
        _ = try await driver.load(stored.request)
        try await driver.keep(fixture.uuid)
        try await driver.resume(fixture.uuid)
        try await guestWorks()
        try await driver.keep(fixture.uuid)
        try await driver.destroy(fixture.uuid)
        let machine = try await driver.machine(fixture.uuid)
        try require(machine.state == .off, "the kept VM is \(machine.state)")
        let paths = Set(machine.disks.filter { !$0.readOnly }.compactMap(\.path))
        try require(paths == Set(stored.request.disks.values), "the kept VM's disks are \(paths)")
    }
}
