import Foundation
import FuzzSubjects
import Testing

/// The kept inputs of all fuzz subjects, each of which was interesting once. One at a time: some have files of a name.
@Suite(.serialized) struct FuzzCorpusTests {
    private static let folder = URL(filePath: #filePath).deletingLastPathComponent()
        .appending(path: "../Fuzzing/Corpora").standardized

    struct Input: CustomTestStringConvertible, Sendable {
        var subject: FuzzSubject
        var file: URL

        var testDescription: String { "\(subject.rawValue)/\(file.lastPathComponent)" }
    }

    private static func inputs() throws -> [Input] {
        try FuzzSubject.allCases.flatMap { subject in
            try FileManager.default.contentsOfDirectory(
                at: folder.appending(path: subject.rawValue), includingPropertiesForKeys: nil
            ).map { Input(subject: subject, file: $0) }
        }
    }

    @Test func everySubjectHasInputs() throws {
        let found = try Set(Self.inputs().map(\.subject))
        #expect(found == Set(FuzzSubject.allCases))
    }

    /// As a fuzzer does: on a thread that may be blocked.
    private func run(_ subject: FuzzSubject, _ inputs: [[UInt8]]) async throws {
        try await withCheckedThrowingContinuation { continuation in
            DispatchQueue.global().async {
                continuation.resume(with: Result { for bytes in inputs { try subject.run(bytes) } })
            }
        }
    }

    @Test(arguments: try inputs())
    func isRefusedOrReadRightly(input: Input) async throws {
        try await run(input.subject, [[UInt8](Data(contentsOf: input.file))])
    }

    /// Halves and single changed bits of what was interesting.
    @Test(arguments: try inputs())
    func damagedItIsToo(input: Input) async throws {
        let bytes = try [UInt8](Data(contentsOf: input.file))
        let damaged = stride(from: 0, to: bytes.count, by: max(1, bytes.count / 64)).flatMap { length in
            var changed = bytes
            changed[length] ^= 1 << UInt8(length % 8)
            return [Array(bytes.prefix(length)), changed]
        }
        try await run(input.subject, damaged)
    }
}
