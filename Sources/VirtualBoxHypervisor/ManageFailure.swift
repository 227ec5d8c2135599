import Foundation
package import Hypervisor

/// What VBoxManage says on standard error when it fails.
package struct ManageFailure: Error, Sendable, Hashable {
    package enum Kind: Sendable, Hashable {
        case unknownMachine
        /// Another session holds the VM just now.
        case locked
        /// The VM is not in a state in which this can be done.
        case wrongState
        case notRunning
        /// Paused by the desktop's power management; VirtualBox itself resumes it.
        case hostPower
        case noSpace
        case noRights
        /// VirtualBox's service or VBoxManage itself cannot be reached, or did not answer before the deadline.
        case unavailable
        /// This version does not know the command.
        case syntax
        case other
    }

    package var kind: Kind
    /// The first line, without the program's name.
    package var text: String

    package init(kind: Kind, text: String) {
        self.kind = kind
        self.text = text
    }

    package init(status: Int32, standardError: String) {
        let lines = standardError.split(whereSeparator: \.isNewline).map(Self.message)
        let said = lines.first { !$0.isEmpty && !Self.isProgress($0) } ?? "exit code \(status) without a word"
        text = said.hasSuffix(".") ? String(said.dropLast()) : said
        kind = Self.kind(status: status, standardError)
    }

    private static func message(_ line: Substring) -> String {
        guard let range = line.range(of: "error: ") else { return String(line) }
        return String(line[range.upperBound...])
    }

    private static func isProgress(_ line: String) -> Bool { line.hasPrefix("0%...") }

    private static func kind(status: Int32, _ text: String) -> Kind {
        func says(_ parts: String...) -> Bool { parts.contains { text.contains($0) } }
        if says("due to host power management") { return .hostPower }
        if says("Could not find a registered machine") { return .unknownMachine }
        if says("is already locked", "VBOX_E_INVALID_OBJECT_STATE") { return .locked }
        if says("is not currently running") { return .notRunning }
        if says("VBOX_E_INVALID_VM_STATE", "Invalid machine state") { return .wrongState }
        if says("VERR_DISK_FULL", "No space left", "disk full") { return .noSpace }
        if says("E_ACCESSDENIED", "VERR_ACCESS_DENIED", "Permission denied") { return .noRights }
        let absent = [
            "Failed to create the VirtualBox object", "Failed to initialize COM", "NS_ERROR_CALL_FAILED",
            "NS_ERROR_SOCKET_FAIL", "VBoxSVC",
        ]
        if absent.contains(where: { text.contains($0) }) { return .unavailable }
        return status == 2 ? .syntax : .other
    }

    package func error(doing what: String) -> HypervisorError {
        switch kind {
        case .unknownMachine: .unknownMachine("VirtualBox could not \(what): \(text).")
        case .notRunning: .notRunning("VirtualBox could not \(what): \(text).", state: "off")
        case .hostPower:
            .notRunning(
                "VirtualBox could not \(what): it is paused by the desktop's power management, which resumes it when the "
                    + "desktop is awake.", state: "paused")
        case .noSpace: .noSpace("VirtualBox could not \(what): \(text). Make room.")
        case .noRights:
            .noRights("VirtualBox could not \(what): \(text). Run VBoxManage as the user to whom the VMs belong.")
        case .unavailable: .unavailable("VirtualBox could not \(what): \(text).")
        case .syntax: .unsupported("VirtualBox could not \(what): this version does not know how (\(text)).")
        case .locked:
            .failed("VirtualBox could not \(what): \(text). Close what holds the VM, such as its settings' window.")
        case .wrongState, .other: .failed("VirtualBox could not \(what): \(text).")
        }
    }
}
