import NIOConcurrencyHelpers
import Packets

/// The ports of bridges that lead to other hosts, opened for sending markers.
///
/// A marker is sent out of the very port that the bridge forwards the channel's segments to: it shares their transmit
/// queue, comes near no local tap, and teaches no bridge a wrong port, because the sender lives behind this one.
// SAFETY: the handles are used only within `lock`.
final class MarkerWires: @unchecked Sendable {
    private struct Wire {
        var index: Int32
        var handle: CaptureHandle
    }

    private let lock = NIOLock()
    private var wires: [String: [Wire]] = [:]

    /// Opens all ports of these bridges but the taps, which lead to guests of this host.
    init(bridges: Set<String>, links: LinkTable) throws(GateError) {
        for name in bridges {
            guard let bridge = links.byName[name] else { throw .bridgeMissing(name) }
            var opened: [Wire] = []
            for port in links.ports(of: bridge) where port.kind != "tun" && port.isUp {
                opened.append(Wire(index: port.index, handle: try CaptureHandle(interface: port.name)))
            }
            wires[name] = opened
        }
    }

    /// Sends a frame out of the port behind which the bridge has seen its receiver, or of all ports if it has not.
    func inject(_ frame: [UInt8], on bridge: String, towards ports: Set<Int32>) throws(GateError) {
        lock.lock()
        defer { lock.unlock() }
        let all = wires[bridge] ?? []
        let known = all.filter { ports.contains($0.index) }
        for wire in known.isEmpty ? all : known { try wire.handle.inject(frame) }
    }

    func close() {
        lock.lock()
        defer { lock.unlock() }
        wires = [:]
    }
}
