import FoundationEssentials

/// The monitor (QMP) of one QEMU, however it is reached: by its own socket or through libvirt.
///
/// Calls block, on a thread that may. One command is under way at a time.
package protocol Monitor: ~Copyable {
    /// What the VM is called in messages.
    var machineName: String { get }

    /// Sends one command, `{"execute":…}` without an id, and gives back the whole answer. A refusal is thrown.
    ///
    /// - Parameter descriptor: goes along, for `getfd`; it stays the caller's.
    @discardableResult
    func execute(_ command: String, descriptor: Int32?) throws(HypervisorError) -> String
}

extension Monitor where Self: ~Copyable {
    @discardableResult
    package func execute(_ command: String) throws(HypervisorError) -> String {
        try execute(command, descriptor: nil)
    }
}

/// The text of a command whose arguments come from elsewhere, such as file names, which may hold anything.
package enum MonitorCommand {
    private struct Plain: Encodable { var execute: String }

    private struct Full<Arguments: Encodable>: Encodable {
        var execute: String
        var arguments: Arguments
    }

    package static func text(_ name: String) -> String { encoded(Plain(execute: name)) }

    package static func text(_ name: String, _ arguments: some Encodable) -> String {
        encoded(Full(execute: name, arguments: arguments))
    }

    private static func encoded(_ value: some Encodable) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // Only numbers that JSON lacks, such as infinity, make this fail; no command has any.
        guard let data = try? encoder.encode(value) else { preconditionFailure("A command that JSON cannot hold") }
        return String(decoding: data, as: UTF8.self)
    }

    /// What a command is called, for messages.
    static func name(of text: String) -> String {
        struct Name: Decodable { var execute: String }
        return (try? JSONDecoder().decode(Name.self, from: Data(text.utf8)))?.execute ?? "a command"
    }
}
