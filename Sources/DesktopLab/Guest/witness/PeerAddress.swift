import Glibc

/// Where the witness of a peer listens: 10.(77 + NIC).1.INDEX and fd77:NIC::1:INDEX.
struct PeerAddress {
    let peer: Int
    let port: UInt16
    let isIPv6: Bool
    /// Over which of its NICs, from 0.
    let nic: Int

    private static let prefix: [UInt8] = [0xFD, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]

    var family: Int32 { isIPv6 ? AF_INET6 : AF_INET }

    func withSocketAddress<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
        func call<Address>(_ address: Address) -> Result {
            withUnsafePointer(to: address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    body($0, socklen_t(MemoryLayout<Address>.size))
                }
            }
        }
        if isIPv6 {
            var address = sockaddr_in6()
            address.sin6_family = sa_family_t(AF_INET6)
            address.sin6_port = port.bigEndian
            withUnsafeMutableBytes(of: &address.sin6_addr) {
                $0.copyBytes(from: PeerAddress.prefix + [UInt8(peer >> 8 & 0xFF), UInt8(peer & 0xFF)])
                $0[3] = UInt8(nic)
            }
            return call(address)
        }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = (UInt32(10) << 24 | UInt32(77 + nic) << 16 | 1 << 8 | UInt32(peer & 0xFF)).bigEndian
        return call(address)
    }

    /// The index of the guest that has this address: its last byte, also of an IPv4 address mapped into IPv6.
    static func peer(of address: sockaddr_in6) -> Int {
        withUnsafeBytes(of: address.sin6_addr) { bytes in Int(bytes[15]) }
    }
}
