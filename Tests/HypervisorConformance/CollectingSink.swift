import Hypervisor
import NIOConcurrencyHelpers

/// Keeps what is written, and gives up after a number of bytes if it was told to.
package final class CollectingSink: ByteSink {
    package struct Full: Error {}

    private let bytes = NIOLockedValueBox<[UInt8]>([])
    private let limit: Int

    package init(limit: Int = .max) { self.limit = limit }

    package func write(_ more: UnsafeRawBufferPointer) throws {
        try bytes.withLockedValue { bytes in
            guard bytes.count + more.count <= limit else { throw Full() }
            bytes.append(contentsOf: more)
        }
    }

    package var collected: [UInt8] { bytes.withLockedValue { $0 } }

    package var count: Int { bytes.withLockedValue(\.count) }
}
