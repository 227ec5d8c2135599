import HypervisorConformance
import Testing

/// One desktop with the stand-in and a guest for a whole suite.
struct StandInScope: SuiteTrait, TestScoping {
    @TaskLocal static var desktop: StandInDesktop?

    /// Once, around the suite and not around each test.
    var isRecursive: Bool { false }

    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        try await StandInDesktop.with { desktop in
            try await Self.$desktop.withValue(desktop) { try await function() }
        }
        print(ConformanceTable.shared.text)
    }
}
