import Crypto
import NIOConcurrencyHelpers
package import SnapshotProtocol

/// Writes one part of an unsealed snapshot and hashes it while it passes. The bytes are under a temporary name until
/// `finish`; without it nothing of them is left. Calls may come from any thread and wait for one another.
package final class PartWriter: Sendable {
    private struct State {
        var file: OpenFile?
        var hasher = SHA256()
        var size: UInt64 = 0
        /// The first write that failed: the part has a hole from there on and can never be finished.
        var failure: StoreError?
    }

    private let part: PendingPart
    private let state: NIOLockedValueBox<State>

    init(_ part: PendingPart) throws(StoreError) {
        self.part = part
        do throws(SystemFailure) {
            state = NIOLockedValueBox(State(file: try part.folder.makeFile(part.temporary)))
        } catch {
            throw error.storeError
        }
    }

    deinit { cancel() }

    /// Bytes written so far.
    package var size: UInt64 { state.withLockedValue { $0.size } }

    package func write(_ bytes: UnsafeRawBufferPointer) throws(StoreError) {
        try state.withLockedValue { state -> Result<Void, StoreError> in
            if let failure = state.failure { return .failure(failure) }
            guard let file = state.file else { return .failure(part.ended) }
            do throws(SystemFailure) {
                try file.write(bytes)
            } catch {
                state.failure = error.storeError
                return .failure(error.storeError)
            }
            state.hasher.update(bufferPointer: bytes)
            state.size += UInt64(bytes.count)
            return .success(())
        }.get()
    }

    /// Makes the part safe and gives it its name. Fails with `alreadyExists` when there is a part of that name, and
    /// with the failure of the first write that failed. Afterwards the writer is of no more use.
    package func finish() throws(StoreError) -> StoredPart {
        try state.withLockedValue { state -> Result<StoredPart, StoreError> in
            if let failure = state.failure { return .failure(failure) }
            guard let file = state.file else { return .failure(part.ended) }
            do throws(StoreError) {
                do throws(SystemFailure) { try file.sync() } catch { throw error.storeError }
                try part.publish()
            } catch {
                state.failure = error
                return .failure(error)
            }
            state.file = nil
            return .success(part.stored(size: state.size, digest: state.hasher.finalize()))
        }.get()
    }

    /// Gives the part up and removes what was written. Does nothing after `finish`.
    package func cancel() {
        state.withLockedValue { state in
            guard state.file != nil else { return }
            state.file = nil
            part.remove()
        }
    }
}
