import SnapshotProtocol
import Testing

@Suite struct FailureCodeTests {
    /// Scripts rely on the numbers: zero is success, and no two reasons share one.
    @Test func everyReasonHasAnExitCodeOfItsOwn() {
        let codes = FailureCode.allCases.map(\.exitCode)
        #expect(Set(codes).count == codes.count)
        #expect(codes.allSatisfy { (1...125).contains($0) })
    }
}
