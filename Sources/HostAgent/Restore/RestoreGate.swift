package import PacketGate
package import Packets

/// What a restore asks of the packet gate.
package protocol RestoreGate: Sendable {
    func fence(hardwareAddresses: [HardwareAddress], bridges: Set<String>) throws(GateError)
    func liftFence() throws(GateError)
    func replay(frames: [[UInt8]], into tap: String) throws(GateError)
}

extension PacketGate: RestoreGate {}
