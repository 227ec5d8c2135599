import Glibc
import Hypervisor

/// The taps and Linux bridges in the network namespace of the calling thread.
enum HostNetwork {
    /// `struct ifreq`: 16 octets of name and a union of 24.
    private static let requestLength = 40
    private static let setDescriptor: UInt = 0x4004_54CA
    private static let bridgesOf: UInt = 0x8940
    private static let bridgeCommand: UInt = 0x89F0
    private static let addPort: UInt = 0x89A2
    private static let getFlags: UInt = 0x8913
    private static let setFlags: UInt = 0x8914

    /// The bridge of each port, by the port's name.
    static func bridges() -> [String: String] {
        let control = socket(AF_INET, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard control >= 0 else { return [:] }
        defer { close(control) }
        var found: [String: String] = [:]
        var indices = [Int32](repeating: 0, count: 1024)
        let count = indices.withUnsafeMutableBufferPointer { buffer in
            // BRCTL_GET_BRIDGES
            var arguments: [UInt] = [1, UInt(bitPattern: buffer.baseAddress), UInt(buffer.count)]
            return ioctl(control, bridgesOf, &arguments)
        }
        for index in indices.prefix(max(0, Int(count))) {
            guard let bridge = name(UInt32(index)) else { continue }
            for port in ports(of: bridge, control) { found[port] = bridge }
        }
        return found
    }

    private static func ports(of bridge: String, _ control: Int32) -> [String] {
        // By number of port, of which a bridge has 1023.
        var indices = [Int32](repeating: 0, count: 1024)
        let result = indices.withUnsafeMutableBufferPointer { buffer in
            // BRCTL_GET_PORT_LIST
            var arguments: [UInt] = [7, UInt(bitPattern: buffer.baseAddress), UInt(buffer.count), 0]
            return arguments.withUnsafeMutableBytes { arguments in
                var request = request(bridge)
                let address = UInt(bitPattern: arguments.baseAddress)
                withUnsafeBytes(of: address) { request.replaceSubrange(16..<24, with: $0) }
                return ioctl(control, bridgeCommand, &request)
            }
        }
        guard result >= 0 else { return [] }
        return indices.filter { $0 > 0 }.compactMap { name(UInt32($0)) }
    }

    private static func name(_ index: UInt32) -> String? {
        var name = [CChar](repeating: 0, count: Int(IF_NAMESIZE))
        guard if_indextoname(index, &name) != nil else { return nil }
        return String(decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    private static func request(_ name: String) -> [UInt8] {
        var request = [UInt8](repeating: 0, count: requestLength)
        request.replaceSubrange(0..<min(15, name.utf8.count), with: name.utf8.prefix(15))
        return request
    }

    /// A new tap that is up and a port of the bridge. It lives as long as its descriptor.
    static func makeTap(on bridge: String) throws(HypervisorError) -> (name: String, descriptor: Int32) {
        guard if_nametoindex(bridge) != 0 else {
            throw .cannotLoad("This host has no bridge \(bridge). Make it, or restore on a host that has it.")
        }
        let descriptor = open("/dev/net/tun", O_RDWR | O_CLOEXEC)
        guard descriptor >= 0 else { throw refused("open /dev/net/tun") }
        do throws(HypervisorError) {
            var request = request("holdfast%d")
            // IFF_TAP, IFF_NO_PI, IFF_VNET_HDR
            withUnsafeBytes(of: UInt16(0x0002 | 0x1000 | 0x4000)) { request.replaceSubrange(16..<18, with: $0) }
            guard ioctl(descriptor, setDescriptor, &request) == 0 else { throw refused("make a tap") }
            let name = String(decoding: request.prefix(16).prefix { $0 != 0 }, as: UTF8.self)
            try join(name, to: bridge)
            return (name, descriptor)
        } catch {
            close(descriptor)
            throw error
        }
    }

    private static func join(_ tap: String, to bridge: String) throws(HypervisorError) {
        let control = socket(AF_INET, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard control >= 0 else { throw refused("open a socket") }
        defer { close(control) }
        var port = request(bridge)
        withUnsafeBytes(of: if_nametoindex(tap)) { port.replaceSubrange(16..<20, with: $0) }
        guard ioctl(control, addPort, &port) == 0 else { throw refused("put \(tap) on the bridge \(bridge)") }
        var flags = request(tap)
        guard ioctl(control, getFlags, &flags) == 0 else { throw refused("read the state of \(tap)") }
        // IFF_UP
        flags[16] |= 1
        guard ioctl(control, setFlags, &flags) == 0 else { throw refused("start \(tap)") }
    }

    private static func refused(_ what: String) -> HypervisorError {
        let code = errno
        let text = "Could not \(what): \(String(cString: strerror(code)))."
        return code == EPERM || code == EACCES ? .noRights(text + " Run the agent as root.") : .failed(text)
    }
}
