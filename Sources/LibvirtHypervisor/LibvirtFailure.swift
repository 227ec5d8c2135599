import CLibvirt
import Hypervisor

/// What libvirt said about the call that just failed on this thread.
struct LibvirtFailure {
    let code: Int32
    let message: String
    /// The part of libvirt that reports it.
    var domain: Int32 = 0

    static func last() -> LibvirtFailure {
        guard let error = virGetLastError() else { return LibvirtFailure(code: 0, message: "unknown libvirt error") }
        let message = error.pointee.message.map { String(cString: $0) } ?? "unknown libvirt error"
        return LibvirtFailure(code: error.pointee.code, message: message, domain: error.pointee.domain)
    }

    /// The message as a sentence, and what to do when it is QEMU that lacks rights.
    func explained(of uuid: String) -> String {
        guard message.contains("Permission denied") else { return "\(message)." }
        if let denial = AppArmorDenial.latest(of: uuid.lowercased()) { return "\(message). \(denial.advice)" }
        return "\(message). The user under which QEMU runs (`user` in /etc/libvirt/qemu.conf) must have access to that "
            + "file and every folder above it; if AppArmor denies it, the kernel's log says so."
    }

    private static let advice = " Look whether libvirtd runs: systemctl status libvirtd."

    /// The error of the contract that fits. `doing` is the rest of a sentence that starts with "Could not".
    func error(doing what: String) -> HypervisorError {
        let text = "Could not \(what): \(message)."
        switch virErrorNumber(rawValue: UInt32(bitPattern: code)) {
        // Of the connection itself, such as "client socket is closed"; what the daemon says comes from elsewhere.
        case VIR_ERR_INTERNAL_ERROR where domain == Int32(VIR_FROM_RPC.rawValue):
            return .unavailable(text + Self.advice)
        case VIR_ERR_NO_DOMAIN: return .unknownMachine(text)
        case VIR_ERR_AUTH_FAILED, VIR_ERR_AUTH_CANCELLED, VIR_ERR_AUTH_UNAVAILABLE, VIR_ERR_ACCESS_DENIED,
            VIR_ERR_OPERATION_DENIED:
            return .noRights(text + " Give the agent's user access to libvirt, for instance through the group libvirt.")
        case VIR_ERR_NO_CONNECT, VIR_ERR_INVALID_CONN, VIR_ERR_RPC, VIR_ERR_SYSTEM_ERROR:
            if message.contains("No space left") { return .noSpace(text) }
            if message.contains("Permission denied") {
                return .noRights(
                    text + " Give the agent's user access to libvirt, for instance through the group libvirt.")
            }
            return .unavailable(text + Self.advice)
        case VIR_ERR_NO_SUPPORT, VIR_ERR_CONFIG_UNSUPPORTED, VIR_ERR_OPERATION_UNSUPPORTED,
            VIR_ERR_ARGUMENT_UNSUPPORTED:
            return .unsupported(text)
        default: return .failed(text)
        }
    }
}
