/// One packet, from its emission to its end, as only the checker may know it.
struct Packet {
    enum Kind: String {
        case data, ack, datagram
    }

    let from: UInt8
    let to: UInt8
    let kind: Kind
    /// Number of a data segment in its stream, or all that an acknowledgement acknowledges.
    let number: UInt16
    /// Steps of the world at which it was emitted, first reached its receiver's host, and first reached the guest.
    let emitted: UInt32
    var arrived: UInt32 = 0
    var delivered: UInt32 = 0
    /// The sender had cut before.
    let afterCut: Bool
    /// It was in its sender's held queue at the sender's cut.
    var heldAtCut = false
    /// Copies that the network made.
    var copies: UInt8 = 1
    /// Copies that the network lost, or that died with an agent or a queue.
    var lost: UInt8 = 0
    /// Waits in the gate of its sender.
    var held = false
    /// The bit of the traffic class with which it left its sender's host.
    var coloured = false

    init(from: UInt8, to: UInt8, kind: Kind, number: UInt16, emitted: UInt32, afterCut: Bool) {
        self.from = from
        self.to = to
        self.kind = kind
        self.number = number
        self.emitted = emitted
        self.afterCut = afterCut
    }
}

/// Both ends of a TCP-like connection, for one direction of data. Segments are numbered from 0.
struct Stream {
    /// At the sender: how many segments the application has written, and how many are known to have arrived.
    var written: UInt16 = 0
    var acknowledged: UInt16 = 0
    /// At the receiver: the next segment for the application, and those that came ahead of it (bit 0 is `next`).
    var next: UInt16 = 0
    var ahead: UInt64 = 0

    /// A data segment arrives; whether it is new.
    mutating func receive(_ number: UInt16) -> Bool {
        guard number >= next, number - next < 64 else { return false }
        let bit = UInt64(1) << UInt64(number - next)
        guard ahead & bit == 0 else { return false }
        ahead |= bit
        while ahead & 1 == 1 {
            next += 1
            ahead >>= 1
        }
        return true
    }

    mutating func acknowledge(_ number: UInt16) { acknowledged = max(acknowledged, number) }
}
