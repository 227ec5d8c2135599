import CNetfilterQueue
import Glibc
import NIOConcurrencyHelpers
import Packets

/// The thread of one epoch that watches what could betray the gates: foreign transactions on the packet filter, taps
/// and bridges that change. It also keeps the learners, and removes the rules when a watchdog has fired.
// SAFETY: `watch` is touched only on the thread, by `run` and by the commands that the mailbox has it run; it is made
// before the thread starts. All else is immutable or locked.
final class GateSentry: @unchecked Sendable {
    private let mailbox: CommandMailbox
    private let thread = NIOLockedValueBox<GateThread?>(nil)
    private let watch: GateWatch

    init(watch: GateWatch) throws(GateError) {
        self.watch = watch
        mailbox = try CommandMailbox()
    }

    func start() throws(GateError) {
        let started = try GateThread(name: "gate-sentry") { [watch, mailbox] in watch.run(mailbox) }
        thread.withLockedValue { $0 = started }
    }

    func perform<Result: Sendable>(_ body: @escaping @Sendable (GateWatch) -> Result) -> Result? {
        mailbox.perform { [watch] in body(watch) }
    }

    func post(_ body: @escaping @Sendable () -> Void) { mailbox.post(body) }

    /// Ends the thread. Idempotent; must not be called on it.
    func end() {
        guard let running = thread.withLockedValue({ $0 }) else { return }
        mailbox.post { [watch] in watch.end() }
        running.join()
    }
}
