import CLibvirt
import Glibc
import Hypervisor

/// A reference to one domain, released with the value.
struct LibvirtDomain: ~Copyable, Monitor {
    let pointer: virDomainPtr
    let connection: LibvirtConnection.Handle

    init(uuid: String, on connection: LibvirtConnection.Handle) throws(HypervisorError) {
        guard let pointer = virDomainLookupByUUIDString(connection.pointer, uuid) else {
            throw LibvirtFailure.last().error(doing: "find the VM \(uuid)")
        }
        self.pointer = pointer
        self.connection = connection
    }

    init(owning pointer: virDomainPtr, on connection: LibvirtConnection.Handle) {
        self.pointer = pointer
        self.connection = connection
    }

    deinit { virDomainFree(pointer) }

    var machineName: String { name }

    var name: String { virDomainGetName(pointer).map { String(cString: $0) } ?? "?" }

    func state() throws(HypervisorError) -> VirtualMachine.State {
        var state: Int32 = 0
        var reason: Int32 = 0
        guard virDomainGetState(pointer, &state, &reason, 0) == 0 else {
            throw LibvirtFailure.last().error(doing: "read the state of \(name)")
        }
        switch virDomainState(rawValue: UInt32(bitPattern: state)) {
        case VIR_DOMAIN_RUNNING, VIR_DOMAIN_BLOCKED: return .running
        case VIR_DOMAIN_PAUSED: return .paused
        case VIR_DOMAIN_SHUTOFF: return .off
        default: return .other
        }
    }

    /// Whether it has a process, in whatever state.
    func isActive() throws(HypervisorError) -> Bool {
        let answer = virDomainIsActive(pointer)
        guard answer >= 0 else { throw LibvirtFailure.last().error(doing: "see whether \(name) is active") }
        return answer == 1
    }

    /// The description, with the live state's device names unless flags say otherwise.
    func xml(_ flags: virDomainXMLFlags...) throws(HypervisorError) -> String {
        guard let text = virDomainGetXMLDesc(pointer, flags.reduce(0) { $0 | $1.rawValue }) else {
            throw LibvirtFailure.last().error(doing: "read the description of \(name)")
        }
        defer { free(text) }
        return String(cString: text)
    }

    func resume() throws(HypervisorError) {
        guard virDomainResume(pointer) == 0 else {
            throw LibvirtFailure.last().error(doing: "let \(name) run again")
        }
    }

    /// Sends one QMP command, optionally with a file descriptor, and gives back the whole answer.
    @discardableResult
    func execute(_ command: String, descriptor: Int32?) throws(HypervisorError) -> String {
        var answer: UnsafeMutablePointer<CChar>?
        let result: Int32
        if var descriptor {
            result = virDomainQemuMonitorCommandWithFiles(pointer, command, 1, &descriptor, nil, nil, &answer, 0)
        } else {
            result = virDomainQemuMonitorCommand(pointer, command, &answer, 0)
        }
        defer { free(answer) }
        guard result == 0 else {
            throw LibvirtFailure.last().error(doing: "reach the monitor of \(name)")
        }
        let text = answer.map { String(cString: $0) } ?? ""
        if let refusal = MonitorAnswer.error(in: text) {
            throw .failed("QEMU refused a command for \(name): \(refusal).")
        }
        return text
    }
}
