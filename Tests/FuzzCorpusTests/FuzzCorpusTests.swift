import Foundation
import FuzzSubjects
import Testing

/// The kept inputs of all fuzz targets, each of which was interesting once.
@Suite struct FuzzCorpusTests {
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

    @Test(arguments: try inputs())
    func isRefusedOrReadRightly(input: Input) throws {
        try input.subject.run([UInt8](Data(contentsOf: input.file)))
    }

    /// Halves and single changed bits of what was interesting.
    @Test(arguments: try inputs())
    func damagedItIsToo(input: Input) throws {
        let bytes = try [UInt8](Data(contentsOf: input.file))
        for length in stride(from: 0, to: bytes.count, by: max(1, bytes.count / 64)) {
            try input.subject.run(Array(bytes.prefix(length)))
            var changed = bytes
            changed[length] ^= 1 << UInt8(length % 8)
            try input.subject.run(changed)
        }
    }
}
