import CNetfilterQueue
import Glibc
import NIOConcurrencyHelpers
import Packets

/// The gate of one member: two queues and the thread that gives their verdicts.
///
/// One thread has both queues, so that "everything held so far" and "everything delivered so far" are facts and not
/// races. Nothing on this path waits for anything but the kernel.
// SAFETY: `loop` is touched only on `thread`, by `run` and by the commands that the mailbox has it run; it is made
// before the thread starts. All else is immutable.
final class MemberGate: @unchecked Sendable {
    let member: GatedMember
    let egressNumber: UInt16
    let ingressNumber: UInt16
    private let mailbox: CommandMailbox
    private let thread = NIOLockedValueBox<GateThread?>(nil)
    private let loop: MemberLoop

    /// Binds both queues. No rule leads to them yet.
    init(_ member: GatedMember, egress: PacketQueue, ingress: PacketQueue, loop: MemberLoop) throws(GateError) {
        self.member = member
        self.egressNumber = egress.number
        self.ingressNumber = ingress.number
        self.loop = loop
        self.mailbox = try CommandMailbox()
    }

    func start() throws(GateError) {
        let started = try GateThread(name: "gate-\(member.name.utf8.prefix(8))") { [self] in
            loop.run(mailbox)
        }
        thread.withLockedValue { $0 = started }
    }

    /// Runs `body` on the member's thread; nil when that has ended.
    @discardableResult
    func perform<Result: Sendable>(_ body: @escaping @Sendable (MemberLoop) -> Result) -> Result? {
        mailbox.perform { [loop] in body(loop) }
    }

    func begin<Result: Sendable>(_ body: @escaping @Sendable (MemberLoop) -> Result) -> () -> Result? {
        mailbox.begin { [loop] in body(loop) }
    }

    /// Ends the thread, which unbinds the queues. Idempotent.
    func end() {
        guard let running = thread.withLockedValue({ $0 }) else { return }
        mailbox.post { [loop] in loop.end() }
        running.join()
    }
}
