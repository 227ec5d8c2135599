import Foundation

/// How the guests of one kind are run on one desktop of a lab, by their owner and not by the product.
protocol LabGuests: Sendable {
    /// Makes a machine known, off, with empty disks.
    func define(_ guest: DomainDescription) async throws

    /// Starts one that is off, from scratch.
    func start(_ name: String) async throws

    func suspend(_ name: String) async throws
    func resume(_ name: String) async throws

    /// Sends a command to the monitor of the machine's QEMU, past the product.
    func monitor(_ command: String, of name: String) async throws -> String

    /// Of each machine that it knows: `running`, `paused`, `shut off`, … A throw is no answer.
    func states() async throws -> [String: String]

    /// Process number of the machine's QEMU, if it lives.
    func emulator(of name: String) -> Int32?
}

extension LabGuests {
    /// The process of that number, if it lives and its command line has that word: the number may have been given to
    /// another process since.
    func process(noted file: String, with word: String) -> Int32? {
        guard let text = try? String(contentsOfFile: file, encoding: .utf8),
            let pid = Int32(text.trimmingCharacters(in: .whitespacesAndNewlines)),
            DaemonProcess.startTime(of: pid) != nil,
            let words = FileManager.default.contents(atPath: "/proc/\(pid)/cmdline"),
            String(decoding: words, as: UTF8.self).contains(word)
        else { return nil }
        return pid
    }
}

/// Guests of the libvirtd of one desktop.
struct LibvirtGuests: LabGuests {
    let daemon: LibvirtDaemon

    func define(_ guest: DomainDescription) async throws {
        let file = daemon.folders.domain(of: guest.name)
        try guest.xml.write(toFile: file, atomically: true, encoding: .utf8)
        try await daemon.requireVirsh(["define", file])
    }

    func start(_ name: String) async throws { try await daemon.requireVirsh(["start", name]) }

    func suspend(_ name: String) async throws { try await daemon.requireVirsh(["suspend", name]) }

    func resume(_ name: String) async throws { try await daemon.requireVirsh(["resume", name]) }

    func monitor(_ command: String, of name: String) async throws -> String {
        try await Command.require(
            ["virsh", "--quiet", "--connect", daemon.uri, "qemu-monitor-command", name, command])
    }

    func states() async throws -> [String: String] {
        // A daemon that was stopped does not answer at all.
        let virsh = ["timeout", "5", "virsh", "--quiet", "--connect", daemon.uri]
        let listed = try await Command.require(virsh + ["list", "--all"])
        var states: [String: String] = [:]
        for line in listed.split(separator: "\n") {
            let words = line.split(separator: " ", omittingEmptySubsequences: true)
            if words.count >= 3 { states[String(words[1])] = words[2...].joined(separator: " ") }
        }
        return states
    }

    func emulator(of name: String) -> Int32? {
        process(
            noted: "\(daemon.folders.libvirt(daemon.desktop, .run))/qemu/\(name).pid", with: "guest=\(name),")
    }
}
