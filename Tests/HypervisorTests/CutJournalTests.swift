import Foundation
import Testing

@testable import Hypervisor

@Suite struct CutJournalTests {
    private func withFolder(_ body: (String) throws -> Void) throws {
        let folder = "/tmp/hf-journal-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try body(folder)
    }

    private let journal = CutJournal(
        uuid: "11111111-2222-3333-4444-555555555555",
        overlays: [.init(target: "vda", original: "/d/ä b.raw", originalFormat: "raw", overlay: "/w/o.qcow2")])

    @Test func comesBackAsItWasWritten() throws {
        try withFolder { folder in
            try journal.write(to: folder)
            let read = try #require(CutJournal.all(in: folder).first)
            #expect(read.uuid == journal.uuid)
            #expect(read.overlays == journal.overlays)
            journal.remove(from: folder)
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
        }
    }

    @Test func aDamagedOneDoesNotHideTheOthers() throws {
        try withFolder { folder in
            try journal.write(to: folder)
            for (name, text) in [("a", ""), ("b", "{\"uuid\":"), ("c", "[]"), ("d", "{\"uuid\":7,\"overlays\":[]}")] {
                try text.write(toFile: "\(folder)/\(name).cut.json", atomically: false, encoding: .utf8)
            }
            // One that was never completed, and a folder.
            try "{}".write(toFile: "\(folder)/e.cut.json.new", atomically: false, encoding: .utf8)
            try FileManager.default.createDirectory(atPath: "\(folder)/f.cut.json", withIntermediateDirectories: false)
            #expect(CutJournal.all(in: folder).map(\.uuid) == [journal.uuid])
        }
    }

    @Test func noFolderHasNone() {
        #expect(CutJournal.all(in: "/nonexistent").isEmpty)
    }

    @Test func aFolderThatCannotBeMadeIsAnError() {
        #expect(throws: HypervisorError.self) { try journal.write(to: "/dev/null/x") }
    }
}
