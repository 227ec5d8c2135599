import Foundation

/// Datagrams for a guest as fast as they go, from a desktop's network. Bounded in number and time.
struct UDPFlood: Sendable {
    let lab: Lab
    /// Whose network they come from.
    let place: Lab.Place
    let address: String
    let patience: Duration

    static let most = 400_000
    /// As many as fill every queue of the lab several times over.
    private static let enough = 4_096
    private static let octets = 64

    /// Sends from a thread of its own until the time is over; returns when there are enough of them to be felt.
    func start() throws {
        let path = "/run/netns/\(lab.namespace(of: place))"
        let namespace = open(path, O_RDONLY | O_CLOEXEC)
        guard namespace >= 0 else {
            throw LabError.commandFailed("open \(path)", status: String(cString: strerror(errno)), detail: "")
        }
        let begun = DispatchSemaphore(value: 0)
        Thread.detachNewThread {
            // Of this thread alone, which ends with the flood.
            let entered = enter(namespace)
            close(namespace)
            if entered { send { begun.signal() } }
            begun.signal()
        }
        begun.wait()
    }

    /// Moves the calling thread into a network namespace. The header hides the function from Swift.
    private func enter(_ namespace: Int32) -> Bool {
        typealias Function = @convention(c) (Int32, Int32) -> Int32
        guard let symbol = dlsym(nil, "setns") else { return false }
        let network: Int32 = 0x4000_0000  // CLONE_NEWNET
        return unsafeBitCast(symbol, to: Function.self)(namespace, network) == 0
    }

    private func send(begun: () -> Void) {
        let descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        var target = sockaddr_in()
        target.sin_family = sa_family_t(AF_INET)
        target.sin_port = in_port_t(9).bigEndian
        inet_pton(AF_INET, address, &target.sin_addr)
        let connected = withUnsafePointer(to: &target) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard connected == 0 else { return }
        let bytes = [UInt8](repeating: 0x48, count: Self.octets)
        let end = ContinuousClock.now + patience
        for number in 0..<Self.most {
            // Refusals of the guest's port come back as errors, and are of no interest.
            _ = Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_DONTWAIT))
            if number == Self.enough { begun() }
            if number % 64 == 0, ContinuousClock.now >= end { return }
        }
    }
}
