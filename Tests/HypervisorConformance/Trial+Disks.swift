import DesktopLab
import Hypervisor
import NIOConcurrencyHelpers

extension Trial {
    /// The guest's records beyond those of now, so many that each of its disks was written.
    private func recordsGoOn() async throws {
        let witness = try witness()
        let now = try await witness.report(after: 0) { $0.diskSequence > 0 }
        let newest = witness.latest?.diskSequence ?? now.diskSequence
        try await witness.report(after: witness.said) { $0.diskSequence > newest + 20 }
    }

    private func journal(of disk: FrozenDisk) async throws -> GuestJournal {
        try await GuestJournal(of: disk.path, format: disk.format, scratch: fixture.scratch)
    }

    func givesTheDisksBackWithEverything() async throws {
        for finishes in [true, false] {
            try await fixture.startGuest()
            try await recordsGoOn()
            let cut = try await prepare()
            _ = try await cut.perform {}
            try await recordsGoOn()
            if finishes {
                try await cut.imageComplete()
                await cut.finish()
            } else {
                await cut.abandon()
            }
            await cut.settled()
            let written = try witness().latest?.diskSequence ?? 0
            try await allIsAsBefore()
            try await recordsGoOn()
            try await driver.destroy(fixture.uuid)
            for disk in fixture.disks where !disk.readOnly {
                guard let path = disk.path else { continue }
                let newest = try await GuestJournal(of: path, format: disk.format, scratch: fixture.scratch).newest
                try require(
                    newest >= written, "the newest record on \(disk.target) is \(newest), and \(written) were written")
            }
        }
    }

    func frozenDisksAreOfTheCut() async throws {
        try await recordsGoOn()
        let own = fixture.disks.filter { !$0.readOnly }
        let found = NIOLockedValueBox<[String: GuestJournal]>([:])
        let said = NIOLockedValueBox<UInt64>(0)
        let witness = try witness()
        let cut = try await prepare()
        _ = try await cut.perform { [scratch = fixture.scratch] in
            said.withLockedValue { $0 = witness.latest?.diskSequence ?? 0 }
            for disk in own {
                guard let path = disk.path else { continue }
                let journal = try GuestJournal(blockingOf: path, format: disk.format, scratch: scratch)
                found.withLockedValue { $0[disk.target] = journal }
            }
        }
        let frozen = found.withLockedValue { $0 }
        func compare(_ when: String) async throws {
            for disk in cut.frozenDisks {
                let now = try await journal(of: disk)
                let then = frozen[disk.target]
                try require(
                    now == then,
                    "\(disk.target) holds records up to \(now.newest) \(when), at the cut up to \(then?.newest ?? 0)")
            }
        }
        try require(cut.frozenDisks.count == own.count, "frozen are \(cut.frozenDisks.map(\.target))")
        let newest = frozen.values.map(\.newest).max() ?? 0
        let least = said.withLockedValue { $0 }
        try require(newest >= least && newest > 0, "the disks held \(newest) records at the cut, of \(least)")
        try await compare("after the cut")
        try await recordsGoOn()
        try await compare("once the guest wrote on")
        try await cut.imageComplete()
        try await recordsGoOn()
        try await compare("once the image was stored")
        await cut.finish()
        await cut.settled()
        try await allIsAsBefore()
    }

    func disksAreOfOneInstant() async throws {
        for _ in 0..<3 {
            try await recordsGoOn()
            let cut = try await prepare()
            _ = try await cut.perform {}
            try require(cut.frozenDisks.count == fixture.disks.filter { !$0.readOnly }.count, "not all disks are frozen")
            // The guest writes each record to its disks in turn, to the first one first.
            var former: UInt64?
            for disk in cut.frozenDisks.sorted(by: { $0.target < $1.target }) {
                let newest = try await journal(of: disk).newest
                try require(newest > 0, "\(disk.target) holds no record")
                if let former {
                    try require(
                        former == newest || former == newest + 1,
                        "\(disk.target) holds records up to \(newest), the disk before it up to \(former)")
                }
                former = newest
            }
            await cut.abandon()
            await cut.settled()
        }
        try await allIsAsBefore()
    }
}
