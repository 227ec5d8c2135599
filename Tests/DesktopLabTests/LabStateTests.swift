import Foundation
import Testing

@testable import DesktopLab

@Suite struct LabStateTests {
    private func withFolder(_ body: (String) async throws -> Void) async throws {
        let folder = "/tmp/hf-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try await body(folder)
    }

    @Test func stateComesBackAsItWasSaved() async throws {
        try await withFolder { folder in
            var state = LabState(LabConfiguration(desktops: 2, directory: folder))
            state.processes = [DaemonProcess(role: "agent", pid: 7, startTime: 8)]
            state.createdFolders = ["/run/libvirt"]
            try state.save()
            let loaded = try #require(try LabState.load(from: folder))
            #expect(loaded.configuration == state.configuration)
            #expect(loaded.processes == state.processes)
            #expect(loaded.createdFolders == state.createdFolders)
            #expect(!loaded.isComplete)
        }
    }

    @Test func aFolderWithoutALabHasNone() async throws {
        try await withFolder { folder in
            #expect(try LabState.load(from: folder) == nil)
            #expect(throws: LabError.notUp(folder)) { try Lab.open(folder) }
            try await Lab.down(folder)
            #expect(FileManager.default.fileExists(atPath: folder))
        }
    }

    @Test func aDamagedStateIsNamed() async throws {
        try await withFolder { folder in
            try "{".write(toFile: "\(folder)/lab.json", atomically: true, encoding: .utf8)
            do {
                _ = try Lab.open(folder)
                Issue.record("opened")
            } catch LabError.unreadableState(let path, _) {
                #expect(path == "\(folder)/lab.json")
            }
        }
    }
}
