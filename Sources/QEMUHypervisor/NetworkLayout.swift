import Foundation
import Hypervisor

/// The NICs of a running QEMU, by its `info network`, which no command of the monitor tells as a whole.
struct NetworkLayout: Sendable, Hashable {
    struct NIC: Sendable, Hashable {
        var mac: String
        /// Id of the netdev.
        var netdev: String?
        /// `tap`, `user`, …
        var kind: String
        var tap: String?
        /// Number of the descriptor in QEMU, for a tap that was handed over.
        var descriptor: Int32?
    }

    var nics: [NIC] = []

    /// - Parameter text: for each NIC a line, and a line that begins with a backslash for its other end.
    init(_ text: String) {
        for line in text.split(whereSeparator: \.isNewline) {
            let trimmed = line.trimmingCharacters(in: .whitespaces)
            let isPeer = trimmed.hasPrefix("\\")
            guard let colon = trimmed.range(of: ": ") else { continue }
            let name = trimmed[..<colon.lowerBound].drop { $0 == "\\" || $0 == " " }
            let values = GuestCommandLine.values(String(trimmed[colon.upperBound...]))
            if let mac = values[named: "macaddr"] {
                nics.append(NIC(mac: mac.lowercased(), netdev: nil, kind: "none", tap: nil, descriptor: nil))
            } else if isPeer, !nics.isEmpty {
                nics[nics.count - 1].netdev = String(name)
                nics[nics.count - 1].kind = values[named: "type"] ?? "unknown"
                nics[nics.count - 1].tap = values[named: "ifname"]
                nics[nics.count - 1].descriptor = values[named: "fd"].flatMap { Int32($0) }
            }
        }
    }

    init(_ monitor: borrowing some Monitor & ~Copyable) throws(HypervisorError) {
        let command = #"{"execute":"human-monitor-command","arguments":{"command-line":"info network"}}"#
        self.init(try BlockLayout.ask(monitor, command) as String)
    }
}
