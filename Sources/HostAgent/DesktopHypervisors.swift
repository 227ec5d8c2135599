import Hypervisor
import NIOConcurrencyHelpers

/// All hypervisors of a desktop as one: each call goes to the driver that has the VM.
///
/// A driver that is out of order hides its own VMs from the list and no others; whoever asks for one VM by its UUID is
/// told of it.
final class DesktopHypervisors: HypervisorDriver {
    let drivers: [any HypervisorDriver]

    /// Where a VM was found last; it is looked for anew when it is not there any more.
    private let places = NIOLockedValueBox<[String: Int]>([:])

    /// - Parameter drivers: at least one, of different names.
    init(_ drivers: [any HypervisorDriver]) {
        precondition(!drivers.isEmpty)
        self.drivers = drivers
    }

    var name: String { drivers.map(\.name).joined(separator: ",") }

    var parts: [any HypervisorDriver] { drivers }

    /// What none of them can do.
    var capabilities: DriverCapabilities {
        var lacks = drivers[0].capabilities.lacks
        for driver in drivers.dropFirst() {
            let others = driver.capabilities.lacks
            lacks = lacks.filter { others[$0.key] != nil }
        }
        return DriverCapabilities(lacks: lacks)
    }

    // MARK: What there is

    func machines() async throws(HypervisorError) -> [VirtualMachine] {
        var lists: [[VirtualMachine]] = []
        var failure: HypervisorError?
        for driver in drivers {
            do throws(HypervisorError) {
                lists.append(try await driver.machines())
            } catch {
                failure = failure ?? error
            }
        }
        if lists.isEmpty, let failure { throw failure }
        return DesktopSight.merged(lists)
    }

    func machine(_ uuid: String) async throws(HypervisorError) -> VirtualMachine { try await locate(uuid).machine }

    /// The VM and its driver: of two that know it the one where it has a process. One that may be with a driver that is out
    /// of order is not called unknown.
    private func locate(
        _ uuid: String
    ) async throws(HypervisorError) -> (driver: any HypervisorDriver, machine: VirtualMachine) {
        let last = places.withLockedValue { $0[uuid.lowercased()] }
        var off: (Int, VirtualMachine)?
        var unknown: HypervisorError?
        var failure: HypervisorError?
        for index in [last].compactMap({ $0 }) + drivers.indices.filter({ $0 != last }) {
            do throws(HypervisorError) {
                let machine = try await drivers[index].machine(uuid)
                if machine.state != .off {
                    places.withLockedValue { $0[uuid.lowercased()] = index }
                    return (drivers[index], machine)
                }
                off = off ?? (index, machine)
            } catch {
                if case .unknownMachine = error { unknown = unknown ?? error } else { failure = failure ?? error }
            }
        }
        if let failure { throw failure }
        if let (index, machine) = off { return (drivers[index], machine) }
        throw unknown ?? .unknownMachine("There is no VM \(uuid) here.")
    }

    func description(of uuid: String) async throws(HypervisorError) -> String {
        try await locate(uuid).driver.description(of: uuid)
    }

    // MARK: Cut

    func prepareCut(
        of uuid: String, workspace: String, sink: any ByteSink
    ) async throws(HypervisorError) -> any PreparedCut {
        let driver = try await locate(uuid).driver
        return try await driver.prepareCut(of: uuid, workspace: Self.workspace(workspace, of: driver), sink: sink)
    }

    /// Each driver puts right what it finds in its workspace, so no two share one.
    static func workspace(_ workspace: String, of driver: any HypervisorDriver) -> String {
        // libvirt's is where it was when there was no other.
        driver.name == LoadRequest.formerDriver ? workspace : "\(workspace)/\(driver.name)"
    }

    func recover(workspace: String) async throws(HypervisorError) {
        var failure: HypervisorError?
        for driver in drivers {
            do throws(HypervisorError) {
                try await driver.recover(workspace: Self.workspace(workspace, of: driver))
            } catch {
                // The VMs of the others must not wait.
                failure = failure ?? error
            }
        }
        if let failure { throw failure }
    }

    // MARK: Load

    func load(_ request: LoadRequest) async throws(HypervisorError) -> VirtualMachine {
        guard let index = drivers.firstIndex(where: { $0.name == request.driver }) else {
            throw .cannotLoad(
                "\(request.name) was under \(request.driver), and this desktop has \(name) only. Set up "
                    + "\(request.driver) in the agent's configuration, or choose another desktop.")
        }
        for other in drivers where other.name != request.driver {
            let present: VirtualMachine
            do throws(HypervisorError) {
                present = try await other.machine(request.uuid)
            } catch {
                if case .unknownMachine = error { continue }
                throw error
            }
            guard present.state == .off else {
                throw .cannotLoad("\(request.name) runs here already, under \(other.name); stop it first.")
            }
        }
        let machine = try await drivers[index].load(request)
        places.withLockedValue { $0[request.uuid.lowercased()] = index }
        return machine
    }

    // MARK: Life

    func resume(_ uuid: String) async throws(HypervisorError) { try await locate(uuid).driver.resume(uuid) }

    func keep(_ uuid: String) async throws(HypervisorError) { try await locate(uuid).driver.keep(uuid) }

    func announce(_ uuid: String) async throws(HypervisorError) { try await locate(uuid).driver.announce(uuid) }

    func endWriteError(_ uuid: String) async throws(HypervisorError) {
        guard let driver = try await driverIfKnown(uuid) else { return }
        try await driver.endWriteError(uuid)
    }

    func destroy(_ uuid: String) async throws(HypervisorError) {
        guard let driver = try await driverIfKnown(uuid) else { return }
        try await driver.destroy(uuid)
    }

    private func driverIfKnown(_ uuid: String) async throws(HypervisorError) -> (any HypervisorDriver)? {
        do throws(HypervisorError) {
            return try await locate(uuid).driver
        } catch {
            guard case .unknownMachine = error else { throw error }
            return nil
        }
    }
}
