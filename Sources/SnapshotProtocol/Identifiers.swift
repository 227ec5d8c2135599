/// One attempt at a global snapshot of a cluster. Grows by at least one with every attempt and is never used twice.
package struct Epoch: RawRepresentable, Hashable, Comparable, Sendable, Codable, CustomStringConvertible {
    package let rawValue: UInt64

    package init(rawValue: UInt64) { self.rawValue = rawValue }

    package init(_ rawValue: UInt64) { self.rawValue = rawValue }

    package static func < (lhs: Epoch, rhs: Epoch) -> Bool { lhs.rawValue < rhs.rawValue }

    package var description: String { String(rawValue) }
}

/// The name of one VM within a cluster: the name under which its hypervisor knows it.
package struct MemberName: RawRepresentable, Hashable, Comparable, Sendable, Codable, CustomStringConvertible {
    package let rawValue: String

    package init(rawValue: String) { self.rawValue = rawValue }

    package init(_ rawValue: String) { self.rawValue = rawValue }

    package static func < (lhs: MemberName, rhs: MemberName) -> Bool { lhs.rawValue < rhs.rawValue }

    package var description: String { rawValue }
}

/// The name of one desktop: the identity in the certificate of its host agent.
package struct HostName: RawRepresentable, Hashable, Comparable, Sendable, Codable, CustomStringConvertible {
    package let rawValue: String

    package init(rawValue: String) { self.rawValue = rawValue }

    package init(_ rawValue: String) { self.rawValue = rawValue }

    package static func < (lhs: HostName, rhs: HostName) -> Bool { lhs.rawValue < rhs.rawValue }

    package var description: String { rawValue }
}

/// An ordered pair of members: everything that `sender` emits for `receiver`.
package struct Channel: Hashable, Comparable, Sendable, Codable, CustomStringConvertible {
    package let sender: MemberName
    package let receiver: MemberName

    package init(sender: MemberName, receiver: MemberName) {
        self.sender = sender
        self.receiver = receiver
    }

    package static func < (lhs: Channel, rhs: Channel) -> Bool {
        (lhs.sender, lhs.receiver) < (rhs.sender, rhs.receiver)
    }

    package var description: String { "\(sender)>\(receiver)" }
}

/// A moment on the clock of whoever drives a machine, in milliseconds since an origin of that driver's choice.
/// The machines compare ticks and add to them; they never read a clock.
package struct Tick: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
    package let rawValue: UInt64

    package init(rawValue: UInt64) { self.rawValue = rawValue }

    package init(_ rawValue: UInt64) { self.rawValue = rawValue }

    package static func < (lhs: Tick, rhs: Tick) -> Bool { lhs.rawValue < rhs.rawValue }

    package static func + (lhs: Tick, milliseconds: UInt64) -> Tick { Tick(lhs.rawValue &+ milliseconds) }

    package var description: String { "\(rawValue)ms" }
}
