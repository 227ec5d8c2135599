/// Numbers from the IANA registry of protocol numbers.
package enum TransportProtocol {
    package static let icmp: UInt8 = 1
    package static let tcp: UInt8 = 6
    package static let udp: UInt8 = 17
    package static let icmpv6: UInt8 = 58
}
