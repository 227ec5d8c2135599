import CLibvirt
import Glibc
import Hypervisor
import MarkupTree

/// What libvirt says that this host can run.
struct HostOffers {
    let values: [String: String]

    init(_ connection: LibvirtConnection.Handle) throws(HypervisorError) {
        guard let text = virConnectGetCapabilities(connection.pointer) else {
            throw LibvirtFailure.last().error(doing: "ask what this host can run")
        }
        defer { free(text) }
        var version: UInt = 0
        guard virConnectGetVersion(connection.pointer, &version) == 0 else {
            throw LibvirtFailure.last().error(doing: "ask for the hypervisor's version")
        }
        values = Self.values(capabilities: String(cString: text), version: HypervisorVersion(packed: version))
    }

    static func values(capabilities: String, version: HypervisorVersion) -> [String: String] {
        var values = ["hypervisor": "qemu", "version": "\(version)"]
        values[HostProcessor.key] = HostProcessor.identity
        guard let root = try? MarkupDocument(capabilities).root else { return values }
        let guests = root.elements("guest", "arch")
        func list(_ found: [String?]) -> String? {
            let names = Set(found.compactMap { $0 }.filter { !$0.isEmpty }).sorted()
            return names.isEmpty ? nil : names.joined(separator: ",")
        }
        values["arch"] = list(guests.map { $0["name"] })
        values["machine"] = list(guests.flatMap { $0.elements("machine").map(\.text) })
        values["accelerator"] = list(guests.flatMap { $0.elements("domain").map { $0["type"] } })
        return values
    }
}
