import Foundation
import Hypervisor
import NIOConcurrencyHelpers
import SnapshotProtocol
import SnapshotStore
import Subprocess

/// One member of one epoch on this desktop: its cut and what is stored of it.
final class MemberWork: Sendable {
    let member: PlannedMember
    let cut: any PreparedCut
    private let snapshot: String
    private let repository: DirectoryRepository
    private let image: PartWriter
    private let description: String
    private let machine: VirtualMachine
    private let ended = NIOLockedValueBox(false)

    private init(
        member: PlannedMember, cut: any PreparedCut, snapshot: String, repository: DirectoryRepository,
        image: PartWriter, description: String, machine: VirtualMachine
    ) {
        self.member = member
        self.cut = cut
        self.snapshot = snapshot
        self.repository = repository
        self.image = image
        self.description = description
        self.machine = machine
    }

    /// Lets the hypervisor write straight into the repository.
    private final class ImageSink: ByteSink {
        let part: PartWriter

        init(_ part: PartWriter) { self.part = part }

        func write(_ bytes: UnsafeRawBufferPointer) throws { try part.write(bytes) }
    }

    static func prepare(
        _ member: PlannedMember, plan: SnapshotPlan, services: DesktopServices
    ) async throws -> MemberWork {
        do {
            let repository = try services.repository()
            let image = try await BlockingWork.run {
                try repository.partWriter(
                    snapshot: plan.snapshot, member: member.name, file: "memory.img", kind: "memory")
            }
            do {
                let cut = try await services.hypervisor.prepareCut(
                    of: member.machine, workspace: services.configuration.workspace, sink: ImageSink(image))
                do {
                    // Only now: the preparation may have given the VM its own disks back after a cut that failed.
                    return MemberWork(
                        member: member, cut: cut, snapshot: plan.snapshot, repository: repository, image: image,
                        description: try await services.hypervisor.description(of: member.machine),
                        machine: try await services.hypervisor.machine(member.machine))
                } catch {
                    await cut.abandon()
                    throw error
                }
            } catch {
                image.cancel()
                throw error
            }
        } catch {
            throw failure(of: error, member: member.name)
        }
    }

    /// Waits for the image and stores everything else. Bytes done and expected are given to `progress`.
    func store(
        channelLog: [UInt8], progress: @escaping @Sendable (UInt64, UInt64) -> Void
    ) async throws -> StoredMember {
        let expected = machine.memory + Machines.diskBytes(of: machine)
        let ticker = Task { [image] in
            while !Task.isCancelled {
                try? await Task.sleep(for: .milliseconds(500))
                if !Task.isCancelled { progress(min(image.size, expected), expected) }
            }
        }
        defer { ticker.cancel() }
        var parts = [
            try await small("channel.pcap", kind: "channel-log", Array(channelLog)),
            try await small("domain.xml", kind: "domain", Array(description.utf8)),
        ]
        try await cut.imageComplete()
        parts.append(try await BlockingWork.run { [image] in try image.finish() })
        for file in cut.frozenFiles {
            let bytes = try await BlockingWork.run { Array(try Data(contentsOf: URL(filePath: file.path))) }
            parts.append(try await small("\(file.name).bin", kind: "file:\(file.name)", bytes))
        }
        for disk in cut.frozenDisks { parts.append(try await store(disk)) }
        return StoredMember(
            member: member.name, parts: parts, savedAt: WallClock.now(), requirements: machine.requirements)
    }

    private func small(_ file: String, kind: String, _ bytes: [UInt8]) async throws -> StoredPart {
        try await BlockingWork.run { [repository, snapshot, member] in
            let part = try repository.partWriter(snapshot: snapshot, member: member.name, file: file, kind: kind)
            try bytes.withUnsafeBytes { try part.write($0) }
            return try part.finish()
        }
    }

    /// The whole chain below the cut in one file that needs nothing else.
    private func store(_ disk: FrozenDisk) async throws -> StoredPart {
        let temporary = try repository.temporary(
            snapshot: snapshot, member: member.name, file: "disk-\(disk.target).qcow2", kind: "disk:\(disk.target)")
        do {
            // Shared: QEMU has the frozen file open as the backing of the running disk, and only reads it.
            let result = try await Subprocess.run(
                .name("qemu-img"),
                arguments: [
                    "convert", "-q", "-U", "-f", disk.format, "-O", "qcow2", disk.path, temporary.path,
                ],
                output: .discarded, error: .string(limit: 16 * 1024))
            guard result.terminationStatus.isSuccess else {
                let text = result.standardError.trimmingCharacters(in: .whitespacesAndNewlines)
                let code: FailureCode = text.contains("No space left") ? .noSpace : .aborted
                throw Failure(code, member: member.name, "Disk \(disk.target) could not be stored: \(text).")
            }
            return try await BlockingWork.run { [repository] in try repository.adopt(temporary) }
        } catch {
            temporary.remove()
            throw error
        }
    }

    /// Sealed: the VM gets its own disks back.
    func finish() async {
        guard first() else { return }
        await cut.finish()
    }

    /// Given up: no image, no part, and the VM as it was.
    func abandon() async {
        guard first() else { return }
        await cut.abandon()
        image.cancel()
    }

    private func first() -> Bool {
        ended.withLockedValue { ended in
            defer { ended = true }
            return !ended
        }
    }
}
