import Glibc
import Hypervisor

/// Tells the switches of a network behind which port an address is now.
///
/// VirtualBox has no command for it. A frame that the host sends through the bridge with the guest's address as its source
/// leaves by every port; the bridge itself learns nothing from what its own host sends, and is told by `bridge fdb`.
enum NetworkAnnouncement {
    /// An announcement in the manner of hypervisors: a reverse ARP request for the own address, to everybody.
    static func frame(for address: [UInt8]) -> [UInt8] {
        let broadcast = [UInt8](repeating: 0xFF, count: 6)
        // Ethernet type RARP; then hardware Ethernet, protocol IPv4, lengths, and `request reverse`.
        let header: [UInt8] = [0x80, 0x35, 0, 1, 8, 0, 6, 4, 0, 3]
        let nobody = [UInt8](repeating: 0, count: 4)
        let frame = broadcast + address + header + address + nobody + address + nobody
        return frame + [UInt8](repeating: 0, count: 60 - frame.count)
    }

    static func octets(of address: String) -> [UInt8]? {
        let octets = address.split(separator: ":").compactMap { UInt8($0, radix: 16) }
        return octets.count == 6 ? octets : nil
    }

    /// Blocks. A bridge that has gone since has nobody to tell.
    static func send(_ frame: [UInt8], through bridge: String) throws(HypervisorError) {
        func failure(_ what: String) -> HypervisorError {
            .failed("Could not announce a VM through \(bridge): \(what): \(String(cString: strerror(errno))).")
        }
        let index = if_nametoindex(bridge)
        if index == 0 { return }
        let descriptor = socket(AF_PACKET, Int32(SOCK_RAW.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw failure("open a packet socket") }
        defer { close(descriptor) }
        let sent = place(of: index).withUnsafeBytes { place in
            sendto(
                descriptor, frame, frame.count, 0, place.assumingMemoryBound(to: sockaddr.self).baseAddress,
                socklen_t(place.count))
        }
        guard sent == frame.count else { throw failure("send") }
    }

    /// `struct sockaddr_ll`, which Glibc's module lacks: family, protocol, interface, four octets that only a receiver is
    /// told, and eight for an address.
    private static func place(of index: UInt32) -> [UInt8] {
        withUnsafeBytes(of: sa_family_t(AF_PACKET), Array.init) + [0, 0] + withUnsafeBytes(of: Int32(index), Array.init)
            + [UInt8](repeating: 0, count: 12)
    }
}
