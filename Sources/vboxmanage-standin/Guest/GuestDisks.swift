import Foundation
import Glibc
import Hypervisor

/// The disks of a guest: differencing images on top of them, and merges. Online through QEMU, offline by `qemu-img`.
///
/// Whatever a file is called, it is kept as QEMU's own format: QEMU refuses to save a guest that has a disk of
/// VirtualBox's.
enum GuestDisks {
    static let format = "QCOW"

    static func tool(_ arguments: [String]) throws {
        let result = try Program.run(["qemu-img"] + arguments)
        if result.status != 0 { throw Refusal(result.errors, code: .fileError) }
    }

    /// Makes a file that came in VirtualBox's format one of ours, in its place.
    static func adopt(_ path: String) throws {
        guard let file = FileHandle(forReadingAtPath: path) else {
            throw Refusal("Could not find file for the medium '\(path)' (VERR_FILE_NOT_FOUND)", code: .fileError)
        }
        let head = (try? file.read(upToCount: 4)) ?? nil
        try? file.close()
        if head == Data([0x51, 0x46, 0x49, 0xFB]) { return }
        try tool(["convert", "-q", "-O", "qcow2", path, path + ".qcow2"])
        guard rename(path + ".qcow2", path) == 0 else { throw Refusal("Could not write '\(path)'", code: .fileError) }
    }

    private struct Action: Encodable {
        struct Overlay: Encodable {
            var device: String
            var file: String
            var format = "qcow2"
            var mode = "absolute-paths"

            enum CodingKeys: String, CodingKey {
                case device, format, mode
                case file = "snapshot-file"
            }
        }
        var type = "blockdev-snapshot-sync"
        var data: Overlay
    }

    private struct Transaction: Encodable { var actions: [Action] }

    /// All at one instant, by the index of the drive.
    static func divert(_ guest: Guest, into files: [(index: Int, path: String)]) throws {
        let actions = files.map { Action(data: Action.Overlay(device: GuestCommand.drive($0.index), file: $0.path)) }
        try guest.monitor().execute(MonitorCommand.text("transaction", Transaction(actions: actions)))
    }

    private struct Commit: Encodable {
        var device: String
        var base: String
        var id: String

        enum CodingKeys: String, CodingKey {
            case device, base
            case id = "job-id"
        }
    }

    private struct Job: Encodable {
        var device: String
    }

    private struct Jobs: Decodable {
        struct Job: Decodable {
            var device: String
            var ready: Bool
        }
        var `return`: [Job]
    }

    /// Merges the image that the guest writes now into the one below it, which it writes from then on.
    static func merge(_ guest: Guest, index: Int, into base: String) throws {
        let monitor = try guest.monitor()
        let id = "merge\(index)"
        func job() throws -> Jobs.Job? {
            let answer = try monitor.execute(MonitorCommand.text("query-block-jobs"))
            let jobs = try JSONDecoder().decode(Jobs.self, from: Data(answer.utf8)).return
            return jobs.first { $0.device == id }
        }
        // One of a command that was ended halfway goes on.
        if try job() == nil {
            let commit = Commit(device: GuestCommand.drive(index), base: base, id: id)
            try monitor.execute(MonitorCommand.text("block-commit", commit))
        }
        var completed = false
        while let now = try job() {
            if now.ready, !completed {
                try monitor.execute(MonitorCommand.text("block-job-complete", Job(device: id)))
                completed = true
            }
            usleep(5_000)
        }
    }
}
