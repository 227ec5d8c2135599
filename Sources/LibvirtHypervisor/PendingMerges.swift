import NIOConcurrencyHelpers

/// The merges that go on behind the epochs, of one driver. One VM's come one after the other, and whoever must have its
/// own disks waits for them: the next cut, a load, a recovery.
final class PendingMerges: Sendable {
    private let tasks = NIOLockedValueBox<[String: Task<Void, Never>]>([:])

    func start(of uuid: String, _ merge: @escaping @Sendable () async -> Void) -> Task<Void, Never> {
        tasks.withLockedValue { tasks in
            let former = tasks[uuid]
            // A task of its own: a caller that is cancelled must not end the merge halfway.
            let task = Task {
                await former?.value
                await merge()
            }
            tasks[uuid] = task
            return task
        }
    }

    func settled(_ uuid: String) async { await tasks.withLockedValue { $0[uuid] }?.value }

    func settled() async {
        for task in tasks.withLockedValue({ Array($0.values) }) { await task.value }
    }
}
