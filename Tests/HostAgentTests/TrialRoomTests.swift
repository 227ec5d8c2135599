import NIOConcurrencyHelpers
import Testing

@testable import HostAgent

@Suite("What a diagnosis tries out, beside epochs and restores", .timeLimit(.minutes(1)))
struct TrialRoomTests {
    private final class Course: Sendable {
        private let steps = NIOLockedValueBox<[String]>([])
        func note(_ step: String) { steps.withLockedValue { $0.append(step) } }
        var all: [String] { steps.withLockedValue { $0 } }
    }

    @Test("A job that comes in the middle says so at once, and begins when the trial has ended")
    func jobGoesBefore() async {
        let room = TrialRoom()
        let course = Course()
        let (begun, begin) = AsyncStream.makeStream(of: Void.self)
        let (wanted, want) = AsyncStream.makeStream(of: Void.self)
        async let trial: Bool? = room.trial(whenWanted: {
            course.note("wanted")
            want.finish()
        }) {
            begin.finish()
            for await _ in wanted {}
            course.note("trial ends")
            return true
        }
        for await _ in begun {}
        await room.job { course.note("job") }
        #expect(await trial == true)
        #expect(course.all == ["wanted", "trial ends", "job"])
    }

    @Test("Beside a job nothing is tried out, and after it again")
    func nothingBesideAJob() async {
        let room = TrialRoom()
        await room.job {
            let tried: Bool? = await room.trial { true }
            #expect(tried == nil)
        }
        #expect(await room.trial { true } == true)
    }

    @Test("Two trials come one after the other, or the second gives up; jobs run at once")
    func oneTrialAtATime() async {
        let room = TrialRoom()
        let (begun, begin) = AsyncStream.makeStream(of: Void.self)
        let (over, end) = AsyncStream.makeStream(of: Void.self)
        async let first: Bool? = room.trial {
            begin.finish()
            for await _ in over {}
            return true
        }
        for await _ in begun {}
        #expect(await room.trial(patience: .milliseconds(50)) { true } == nil)
        async let second: Bool? = room.trial { true }
        end.finish()
        #expect(await first == true)
        #expect(await second == true)
        await room.job { await room.job {} }
    }
}
