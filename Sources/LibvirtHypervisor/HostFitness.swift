import CLibvirt
import Glibc
import Hypervisor

/// Whether this host can run a VM as it is described, asked before anything of it is loaded.
struct HostFitness {
    let connection: LibvirtConnection.Handle

    func check(_ description: DomainDescription, name: String) throws(HypervisorError) {
        let kind = description.requirements["accelerator"]
        let architecture = description.requirements["arch"]
        let machine = description.requirements["machine"]
        let emulator = description.emulator
        let wanted = [architecture, machine, kind].compactMap { $0 }.joined(separator: ", ")
        guard
            let text = virConnectGetDomainCapabilities(
                connection.pointer, emulator, architecture, machine, kind, 0)
        else {
            let failure = LibvirtFailure.last()
            switch virErrorNumber(rawValue: UInt32(bitPattern: failure.code)) {
            case VIR_ERR_RPC, VIR_ERR_INVALID_CONN, VIR_ERR_OPERATION_DENIED, VIR_ERR_ACCESS_DENIED:
                throw failure.error(doing: "ask what this host can run")
            default:
                // Also an emulator that is not there, which libvirt reports as an error of the system.
                throw .cannotLoad(
                    "This host cannot run \(name), which needs \(wanted)\(emulator.map { " under \($0)" } ?? ""): "
                        + "\(failure.message). Restore it on a host like the one of the snapshot.")
            }
        }
        defer { free(text) }
        try checkProcessor(
            description, offered: try DomainDescription(String(cString: text)), emulator: emulator, name: name)
    }

    private func checkProcessor(
        _ description: DomainDescription, offered: DomainDescription, emulator: String?, name: String
    ) throws(HypervisorError) {
        guard let processor = description.processor else { return }
        if let mode = processor.mode, mode != "custom", !offered.offersProcessorMode(mode) {
            throw .cannotLoad("This host does not offer the processor mode \(mode) that \(name) needs.")
        }
        guard let model = processor.model else { return }
        let compared = virConnectCompareHypervisorCPU(
            connection.pointer, emulator, description.requirements["arch"], description.requirements["machine"],
            description.requirements["accelerator"], processor.xml,
            VIR_CONNECT_COMPARE_CPU_FAIL_INCOMPATIBLE.rawValue)
        // Any other failure means that libvirt cannot compare here; then the load itself must show it.
        if compared < 0, LibvirtFailure.last().code == Int32(VIR_ERR_CPU_INCOMPATIBLE.rawValue) {
            throw .cannotLoad(
                "The processor of this host lacks what \(name) needs (\(model)): \(LibvirtFailure.last().message).")
        }
    }
}
