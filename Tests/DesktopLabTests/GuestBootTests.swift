import Foundation
import Testing

@testable import DesktopLab

/// Boots the lab's guest image in an emulator of its own, without libvirt and without a network.
@Suite(
    .serialized,
    .enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/qemu-system-x86_64"), "needs QEMU"),
    .enabled(if: FileManager.default.isExecutableFile(atPath: "/bin/busybox"), "needs busybox-static"))
struct GuestBootTests {
    /// One emulator with a monitor that is written to; ended with `stop`.
    private struct Emulator {
        let process: DaemonProcess
        let log: WitnessLog
        let folder: String

        init(folder: String, name: String, image: GuestImage, disk: String, more: [String] = []) async throws {
            self.folder = "\(folder)/\(name)"
            try FileManager.default.createDirectory(atPath: self.folder, withIntermediateDirectories: true)
            log = WitnessLog(path: "\(self.folder)/serial.log")
            // QEMU opens both ends of a pipe itself, so writing to it never blocks for want of a reader.
            try await Command.require(["mkfifo", "\(self.folder)/monitor.in", "\(self.folder)/monitor.out"])
            process = try DaemonProcess.start(
                [
                    "qemu-system-x86_64", "-machine", "pc", "-accel", "tcg", "-cpu", "max", "-m", "128", "-nodefaults",
                    "-display", "none", "-rtc", "base=utc", "-kernel", image.kernel, "-initrd", image.initrd,
                    "-append",
                    (DomainDescription.kernelOptions(.tcg) + ["hf.index=1", "hf.members=1"]).joined(separator: " "),
                    "-serial", "file:\(log.path)", "-drive", "file=\(disk),if=virtio,format=raw",
                    "-chardev", "pipe,id=monitor,path=\(self.folder)/monitor", "-mon", "chardev=monitor",
                ] + more, role: "guest", log: "\(self.folder)/qemu.log")
        }

        func command(_ line: String) throws {
            let file = try #require(FileHandle(forWritingAtPath: "\(folder)/monitor.in"))
            try file.write(contentsOf: Data("\(line)\n".utf8))
            try file.close()
        }

        /// Waits for a report; the suite's time limit ends a wait in vain.
        func report(where isWanted: (WitnessReport) -> Bool) async throws -> WitnessReport {
            while true {
                if let report = log.reports().reports.last(where: isWanted) { return report }
                try #require(process.isRunning, "\(LabFolders.tail(of: "\(folder)/qemu.log"))")
                try await Task.sleep(for: .milliseconds(100))
            }
        }
    }

    private func withFolder(_ body: (String) async throws -> Void) async throws {
        let folder = "/tmp/hf-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try await body(folder)
    }

    /// The same memory with the disk of its own instant, and with the disk as it was some records later.
    @Test(.timeLimit(.minutes(2)))
    func theWitnessNoticesARestoreAndADiskOfAnotherInstant() async throws {
        let image = try await GuestImage.prepare()
        try await withFolder { folder in
            let disk = "\(folder)/disk.raw"
            let memory = "\(folder)/memory"
            try await Command.require(["truncate", "--size=4M", disk])
            let original = try await Emulator(folder: folder, name: "original", image: image, disk: disk)
            do {
                let before = try await original.report { $0.diskSequence >= 20 }
                #expect(before.restores == 0)
                #expect(before.diskMismatches == 0)
                #expect(before.diskFailure == 0)

                // Stops the guest at its end; a guest that was stopped before would be loaded stopped.
                try original.command("migrate \"exec:cat > \(memory).part && mv \(memory).part \(memory)\"")
                while !FileManager.default.fileExists(atPath: memory) {
                    try #require(original.process.isRunning)
                    try await Task.sleep(for: .milliseconds(50))
                }
                try await Command.require(["cp", disk, "\(folder)/same-instant.raw"])
                try original.command("cont")
                let atCut = original.log.reports().reports.last?.diskSequence ?? 0
                _ = try await original.report { $0.diskSequence >= atCut + 20 }
            } catch {
                await original.process.stop()
                throw error
            }
            await original.process.stop()

            // The guest tells a restore by the seconds that it missed.
            try await Task.sleep(for: .seconds(3))
            for (name, source) in [("consistent", "\(folder)/same-instant.raw"), ("inconsistent", disk)] {
                let restored = try await Emulator(
                    folder: folder, name: name, image: image, disk: source,
                    more: ["-incoming", "exec:cat \(memory)"])
                do {
                    let noticed = try await restored.report { $0.restores == 1 }
                    let after = try await restored.report { $0.diskSequence >= noticed.diskSequence + 10 }
                    #expect((after.diskMismatches > 0) == (name == "inconsistent"), "\(name): \(after)")
                    #expect(after.uptime >= after.restoredAt)
                } catch {
                    await restored.process.stop()
                    throw error
                }
                await restored.process.stop()
            }
        }
    }

    @Test func theImageIsMadeOnce() async throws {
        let first = try await GuestImage.prepare()
        let made = try FileManager.default.attributesOfItem(atPath: first.initrd)[.modificationDate] as? Date
        let second = try await GuestImage.prepare()
        #expect(second.initrd == first.initrd)
        #expect(try FileManager.default.attributesOfItem(atPath: second.initrd)[.modificationDate] as? Date == made)
    }
}
