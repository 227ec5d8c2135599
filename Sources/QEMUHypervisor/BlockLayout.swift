import FoundationEssentials
import Hypervisor

/// The disks of a running QEMU as its monitor tells them.
struct BlockLayout: Sendable {
    /// What a device of the guest reads and writes.
    struct Backend: Sendable, Hashable {
        /// Name of the drive; empty for one by block node.
        var device: String
        /// Path of the device in QEMU, such as `/machine/peripheral/disk0/virtio-backend`.
        var path: String
        /// The node on top.
        var node: String
        var file: String
        var format: String
        var readOnly: Bool
    }

    struct Node: Sendable, Hashable {
        var name: String
        var file: String
        var driver: String
    }

    var backends: [Backend]
    var nodes: [Node]

    private struct Answer<Value: Decodable>: Decodable {
        var result: Value

        enum CodingKeys: String, CodingKey { case result = "return" }
    }

    private struct Block: Decodable {
        struct Inserted: Decodable {
            var file: String
            var drv: String
            var ro: Bool
            var node: String?

            enum CodingKeys: String, CodingKey {
                case file, drv, ro
                case node = "node-name"
            }
        }
        var device: String?
        var qdev: String?
        var inserted: Inserted?
    }

    private struct NamedNode: Decodable {
        var file: String
        var drv: String
        var node: String?

        enum CodingKeys: String, CodingKey {
            case file, drv
            case node = "node-name"
        }
    }

    init(_ monitor: MonitorSocket) throws(HypervisorError) {
        let blocks: [Block] = try Self.ask(monitor, #"{"execute":"query-block"}"#)
        let named: [NamedNode] = try Self.ask(
            monitor, #"{"execute":"query-named-block-nodes","arguments":{"flat":true}}"#)
        // QEMU names files as it was told, which may have been relative to its folder.
        let folder = monitor.peerProcess.flatMap { GuestProcess(pid: $0) }?.workingFolder ?? ""
        func whole(_ name: String) -> String {
            let file = Self.path(in: name)
            return file.isEmpty || file.hasPrefix("/") || !OptionRules.isFile(file) ? file : "\(folder)/\(file)"
        }
        backends = blocks.compactMap { block in
            guard let inserted = block.inserted else { return nil }
            return Backend(
                device: block.device ?? "", path: block.qdev ?? "", node: inserted.node ?? "",
                file: whole(inserted.file),
                format: inserted.drv == "file" ? "raw" : inserted.drv, readOnly: inserted.ro)
        }
        nodes = named.compactMap { node in
            node.node.map { Node(name: $0, file: whole(node.file), driver: node.drv) }
        }
    }

    /// What QEMU calls `json:{…}` is a file too, with options that a path cannot tell.
    static func path(in name: String) -> String {
        struct Layer: Decodable {
            final class Below: Decodable {
                var filename: String?
                var file: Below?
            }
            var filename: String?
            var file: Below?
        }
        guard name.hasPrefix("json:"),
            let layer = try? JSONDecoder().decode(Layer.self, from: Data(name.utf8.dropFirst("json:".utf8.count)))
        else { return name }
        var below = layer.file
        while let next = below, next.filename == nil { below = next.file }
        return layer.filename ?? below?.filename ?? name
    }

    static func ask<Value: Decodable>(
        _ monitor: borrowing some Monitor & ~Copyable, _ command: String
    ) throws(HypervisorError) -> Value {
        let text = try monitor.execute(command)
        do {
            return try JSONDecoder().decode(Answer<Value>.self, from: Data(text.utf8)).result
        } catch {
            throw .failed("QEMU's answer to `\(command.prefix(60))` for \(monitor.machineName) cannot be read.")
        }
    }

    /// The backend of each disk, in their order; nil where it has none now. And those that no disk has.
    func match(_ disks: [GuestDisk]) -> (found: [Backend?], others: [Backend]) {
        var left = backends
        func take(_ isWanted: (Backend) -> Bool) -> Backend? {
            left.firstIndex(where: isWanted).map { left.remove(at: $0) }
        }
        var found: [Backend?] = disks.map { disk in
            take { backend in
                !backend.device.isEmpty && backend.device == disk.backend
                    || disk.device.map { backend.path.contains("/peripheral/\($0)/") } ?? false
                    || disk.device.map { backend.path == "/machine/peripheral/\($0)" } ?? false
            }
        }
        // Devices without an id are numbered in the order of their making.
        for index in disks.indices where found[index] == nil {
            found[index] = take { $0.device.isEmpty && $0.path.contains("/peripheral-anon/") }
        }
        return (found, left)
    }

    func node(ofFile file: String, driver: String) -> Node? {
        nodes.first { $0.file == file && $0.driver == driver }
    }
}
