import Hypervisor
import NIOConcurrencyHelpers

/// Keeps what is written, and gives up after a number of bytes if it was told to.
final class CollectingSink: ByteSink {
    struct Full: Error {}

    private let bytes = NIOLockedValueBox<[UInt8]>([])
    private let limit: Int

    init(limit: Int = .max) { self.limit = limit }

    func write(_ more: UnsafeRawBufferPointer) throws {
        try bytes.withLockedValue { bytes in
            guard bytes.count + more.count <= limit else { throw Full() }
            bytes.append(contentsOf: more)
        }
    }

    var collected: [UInt8] { bytes.withLockedValue { $0 } }
}
