import Hypervisor

/// What the hypervisors of a desktop show, each asked by itself and all at once: one that is out of order, or hangs, keeps
/// nobody waiting for the VMs of the others.
struct DesktopSight: Sendable {
    enum Fault: Sendable {
        case error(HypervisorError)
        /// No answer in time.
        case silence
    }

    struct Part: Sendable {
        var driver: any HypervisorDriver
        var result: Result<[VirtualMachine], HypervisorError>?
        var offer: [String: String]

        var machines: [VirtualMachine] { (try? result?.get()) ?? [] }

        var fault: Fault? {
            switch result {
            case .success: nil
            case .failure(let error): .error(error)
            case nil: .silence
            }
        }

        /// For people; nil when it is in order.
        var faultText: String? {
            switch fault {
            case nil: nil
            case .error(let error): error.text
            case .silence: "\(driver.name) does not answer. \(HypervisorAdvice.ofSilence(driver.name))"
            }
        }
    }

    /// In the order of the drivers.
    var parts: [Part]

    static func of(_ hypervisor: any HypervisorDriver, within patience: Duration) async -> DesktopSight {
        let drivers = hypervisor.parts
        return await withTaskGroup(of: (Int, Part).self) { group in
            for (index, driver) in drivers.enumerated() {
                group.addTask {
                    let seen = await answer(within: patience) { await look(through: driver) }
                    return (index, Part(driver: driver, result: seen?.result, offer: seen?.offer ?? [:]))
                }
            }
            var parts: [Int: Part] = [:]
            for await (index, part) in group { parts[index] = part }
            return DesktopSight(parts: drivers.indices.compactMap { parts[$0] })
        }
    }

    private static func look(
        through driver: any HypervisorDriver
    ) async -> (result: Result<[VirtualMachine], HypervisorError>, offer: [String: String]) {
        do throws(HypervisorError) {
            let machines = try await driver.machines()
            return (.success(machines), try await driver.offer())
        } catch {
            return (.failure(error), [:])
        }
    }

    var machines: [VirtualMachine] { Self.merged(parts.map(\.machines)) }

    /// All of them by name; of one that two drivers know, such as after a restore by another, the one that has a process.
    static func merged(_ lists: [[VirtualMachine]]) -> [VirtualMachine] {
        var found: [String: VirtualMachine] = [:]
        for machine in lists.joined() {
            if let former = found[machine.uuid], former.state != .off || machine.state == .off { continue }
            found[machine.uuid] = machine
        }
        return found.values.sorted { ($0.name, $0.uuid) < ($1.name, $1.uuid) }
    }

    /// Why nothing is seen at all, if so.
    var blindness: HypervisorError? {
        guard let first = parts.first, parts.allSatisfy({ $0.fault != nil }) else { return nil }
        if case .error(let error) = first.fault { return error }
        return .unavailable(first.faultText ?? "")
    }

    /// What the manager is told of the desktop's hypervisors: `driver`, the list of them, and for each driver what it offers,
    /// as in `qemu.version`. Of one that is out of order `fault` says why, of one that hangs `silence` does.
    var offers: [String: String] {
        var offers = ["driver": parts.map(\.driver.name).joined(separator: ",")]
        for part in parts {
            let name = part.driver.name
            for (key, value) in part.offer { offers["\(name).\(key)"] = value }
            switch part.fault {
            case nil: break
            case .error(let error): offers["\(name).fault"] = error.text
            case .silence: offers["\(name).silence"] = part.faultText
            }
        }
        return offers
    }
}
