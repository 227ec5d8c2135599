import Hypervisor
import NIOConcurrencyHelpers

/// A hypervisor that knows machines and notes what is asked of it; it cuts and loads nothing.
final class FakeHypervisor: HypervisorDriver {
    let name: String
    /// Whether it cannot be reached.
    let isAway = NIOLockedValueBox(false)
    private let machinesByUUID: NIOLockedValueBox<[String: VirtualMachine]>
    let calls = NIOLockedValueBox<[String]>([])

    private let loaded: VirtualMachine?

    /// - Parameter loads: the machine that a load gives; without one every load fails.
    init(_ machines: [VirtualMachine], loads loaded: VirtualMachine? = nil, name: String = "fake") {
        self.name = name
        self.loaded = loaded
        machinesByUUID = NIOLockedValueBox(Dictionary(uniqueKeysWithValues: machines.map { ($0.uuid, $0) }))
    }

    func machines() async throws(HypervisorError) -> [VirtualMachine] {
        if isAway.withLockedValue({ $0 }) { throw .unavailable("away") }
        return machinesByUUID.withLockedValue { $0.values.sorted { $0.name < $1.name } }
    }

    func machine(_ uuid: String) async throws(HypervisorError) -> VirtualMachine {
        if isAway.withLockedValue({ $0 }) { throw .unavailable("away") }
        guard let machine = machinesByUUID.withLockedValue({ $0[uuid] }) else { throw .unknownMachine(uuid) }
        return machine
    }

    func description(of uuid: String) async throws(HypervisorError) -> String { "<domain/>" }

    func prepareCut(
        of uuid: String, workspace: String, sink: any ByteSink
    ) async throws(HypervisorError) -> any PreparedCut { throw .unsupported("This hypervisor cuts nothing.") }

    func load(_ request: LoadRequest) async throws(HypervisorError) -> VirtualMachine {
        guard let loaded else { throw .unsupported("This hypervisor loads nothing.") }
        note("load \(request.name)")
        machinesByUUID.withLockedValue { $0[loaded.uuid] = loaded }
        if loadFails.withLockedValue({ $0 }) {
            // The daemon died after it had begun; what it had made is there when it is back.
            throw .unavailable("The connection was lost.")
        }
        return loaded
    }

    func resume(_ uuid: String) async throws(HypervisorError) { note("resume \(uuid)") }
    /// How often each VM was to be woken from a write error; every second time the hypervisor cannot be reached.
    let wakings = NIOLockedValueBox<[String: Int]>([:])
    func endWriteError(_ uuid: String) async throws(HypervisorError) {
        let count = wakings.withLockedValue { counts in
            counts[uuid, default: 0] += 1
            return counts[uuid, default: 0]
        }
        if count.isMultiple(of: 2) { throw .unavailable("The daemon is being restarted.") }
    }
    func keep(_ uuid: String) async throws(HypervisorError) { note("keep \(uuid)") }

    func destroy(_ uuid: String) async throws(HypervisorError) {
        let fails = failingDestructions.withLockedValue { count in
            count -= 1
            return count >= 0
        }
        note(fails ? "fail to destroy \(uuid)" : "destroy \(uuid)")
        if fails { throw .unavailable("The daemon is being restarted.") }
    }

    let loadFails = NIOLockedValueBox(false)
    /// How many of the next destructions fail.
    let failingDestructions = NIOLockedValueBox(0)

    func announce(_ uuid: String) async throws(HypervisorError) { note("announce \(uuid)") }
    func recover(workspace: String) async throws(HypervisorError) {
        note("recover")
        if let failure = recoveryFailure.withLockedValue({ $0 }) { throw failure }
    }

    /// Why a recovery fails, as long as it does.
    let recoveryFailure = NIOLockedValueBox<HypervisorError?>(nil)

    func note(_ call: String) { calls.withLockedValue { $0.append(call) } }
}

extension VirtualMachine {
    static func sample(
        _ name: String, state: State = .running, memory: UInt64 = 1 << 20, tap: String? = "tap0",
        bridge: String? = "br0", disk: String? = nil
    ) -> VirtualMachine {
        VirtualMachine(
            uuid: "uuid-\(name)", name: name, state: state, memory: memory,
            nics: [NIC(mac: "52:54:00:00:00:01", tap: tap, bridge: bridge, kind: tap == nil ? "user" : "bridge")],
            disks: disk.map { [Disk(target: "vda", path: $0, format: "qcow2", readOnly: false)] } ?? [],
            requirements: ["arch": "x86_64"])
    }
}
