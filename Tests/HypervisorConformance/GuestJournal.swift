import DesktopLab
import Foundation
import Glibc
import Hypervisor

/// What the guest's witness has written to a disk: record n in slot n % 1024 of 512 octets, beginning with n.
struct GuestJournal: Hashable {
    private static let slot = 512
    private static let slots = 1024

    private let bytes: [UInt8]

    /// Reads it from the file of a disk that may be in use.
    init(of path: String, format: String, scratch: String) async throws {
        let copy = Self.copy(in: scratch)
        defer { unlink(copy) }
        let result = try await Command.run(Self.conversion(path, format, copy))
        guard result.succeeded else { throw Breach("\(path) cannot be read: \(result.standardError)") }
        try self.init(copy: copy)
    }

    /// The same on the thread of the caller.
    init(blockingOf path: String, format: String, scratch: String) throws {
        let copy = Self.copy(in: scratch)
        defer { unlink(copy) }
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = Self.conversion(path, format, copy)
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw Breach("\(path) cannot be read") }
        try self.init(copy: copy)
    }

    private init(copy: String) throws {
        guard let data = FileManager.default.contents(atPath: copy), data.count >= Self.slot * Self.slots else {
            throw Breach("\(copy) is too short for the witness's records")
        }
        bytes = Array(data.prefix(Self.slot * Self.slots))
    }

    private static func copy(in scratch: String) -> String { "\(scratch)/journal-\(UUID().uuidString)" }

    private static func conversion(_ path: String, _ format: String, _ copy: String) -> [String] {
        ["qemu-img", "convert", "-q", "-U", "-f", format, "-O", "raw", path, copy]
    }

    /// The highest number of a record that lies in its slot; 0 without any.
    var newest: UInt64 {
        (0..<Self.slots).reduce(0) { newest, place in
            let number = bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: place * Self.slot, as: UInt64.self) }
            return number % UInt64(Self.slots) == UInt64(place) ? max(newest, number) : newest
        }
    }
}
