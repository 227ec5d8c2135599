import Foundation
import Testing

@testable import QEMUHypervisor

@Suite struct EmulatorProgramsTests {
    @Test func theVersionIsReadFromWhatItSays() {
        let debian = "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)\nCopyright (c) 2003-2022\n"
        #expect(EmulatorPrograms.version(in: debian) == "7.2.22")
        #expect(EmulatorPrograms.version(in: "QEMU emulator version 10.0.50 (v10.0.0-1)") == "10.0.50")
        for text in ["", "version ", "QEMU emulator version unknown"] {
            #expect(EmulatorPrograms.version(in: text) == nil)
        }
    }

    @Test func machineTypesAreTheFirstWords() {
        let text = """
            Supported machines are:
            microvm              microvm (i386)
            pc                   Standard PC (i440FX + PIIX, 1996) (alias of pc-i440fx-7.2)
            pc-i440fx-7.2        Standard PC (i440FX + PIIX, 1996) (default)
            none                 empty machine

            """
        #expect(EmulatorPrograms.machineTypes(in: text) == ["microvm", "pc", "pc-i440fx-7.2", "none"])
        #expect(EmulatorPrograms.machineTypes(in: "").isEmpty)
    }

    @Test func architecturesAreThoseOfProgramsThatCanBeRun() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "hf-path-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        for (name, mode) in [
            ("qemu-system-x86_64", 0o755), ("qemu-system-x86_64-microvm", 0o755), ("qemu-system-", 0o755),
            ("qemu-system-arm", 0o644), ("qemu-img", 0o755),
        ] {
            let path = folder.appending(path: name).path
            try Data("#!/bin/sh\n".utf8).write(to: URL(filePath: path))
            try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
        }
        #expect(EmulatorPrograms.architectures("/nonexistent:\(folder.path):\(folder.path)") == ["x86_64"])
    }
}
