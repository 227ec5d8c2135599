import Packets
import SnapshotProtocol

extension MemberNIC {
    /// The hardware address as the packet filter takes it.
    var address: HardwareAddress {
        get throws {
            guard let address = HardwareAddress(mac) else {
                throw Failure(.usage, "`\(mac)` is no hardware address. Check the VM's description.")
            }
            return address
        }
    }
}
