import Crypto
import Packets

/// Tags markers with the key of one epoch, and tells authentic ones from others.
struct MarkerSigner: Sendable {
    private let epoch: UInt64
    private let key: SymmetricKey

    init(epoch: UInt64, key: [UInt8]) {
        self.epoch = epoch
        self.key = SymmetricKey(data: key)
    }

    func frame(
        _ kind: Marker.Kind, sender: String, receiver: String, nicIndex: UInt8, source: HardwareAddress,
        destination: HardwareAddress
    ) throws(PacketError) -> [UInt8] {
        let marker = Marker(kind: kind, epoch: epoch, nicIndex: nicIndex, sender: sender, receiver: receiver)
        return try marker.frame(tag: tag(try marker.body()[...]), source: source, destination: destination)
    }

    /// The marker in an IP packet if its tag is right and it is of this epoch.
    func authentic(packet: [UInt8]) -> Marker? {
        guard let decoded = try? Marker.decode(packet: packet[...]), decoded.marker.epoch == epoch else { return nil }
        // In constant time, so that nobody finds a tag octet by octet.
        let difference = zip(tag(decoded.body), decoded.tag).reduce(UInt8(0)) { $0 | $1.0 ^ $1.1 }
        return difference == 0 && decoded.tag.count == Marker.tagLength ? decoded.marker : nil
    }

    private func tag(_ body: ArraySlice<UInt8>) -> [UInt8] {
        Array(HMAC<SHA256>.authenticationCode(for: Array(body), using: key).prefix(Marker.tagLength))
    }
}
