import Hypervisor

extension Trial {
    private var nobody: String { "00000000-0000-0000-0000-00000000dead" }

    func listsItsMachines() async throws {
        try await fixture.startGuest()
        let machines = try await driver.machines()
        try require(machines.filter { $0.uuid == fixture.uuid }.count == 1, "the list is \(machines.map(\.name))")
        let machine = try await driver.machine(fixture.uuid)
        try require(machines.contains(machine), "the list says otherwise than the VM alone: \(machines), \(machine)")
        try require(machine.name == fixture.name, "the VM's name is \(machine.name)")
        try require(machine.state == .running, "the VM is \(machine.state)")
        try require(machine.memory > 0, "the VM has no memory")
        try require(Set(machine.disks) == Set(fixture.disks), "the VM's disks are \(machine.disks)")
        for nic in machine.nics { try require(nic.mac == nic.mac.lowercased(), "an address is \(nic.mac)") }
        let description = try await driver.description(of: fixture.uuid)
        try require(description.contains(fixture.uuid), "the description does not have the VM's UUID: \(description)")
        let upper = try await driver.machine(fixture.uuid.uppercased())
        try require(upper == machine, "a UUID in capital letters is another one")
    }

    func offersWhatItsMachinesNeed() async throws {
        func fits(_ machine: VirtualMachine, _ offers: [String: String]) throws {
            try require(offers["hypervisor"] != nil && offers["version"] != nil, "it offers \(offers)")
            for (key, needed) in machine.requirements {
                guard let offer = offers[key] else { continue }
                let choices = offer.split(separator: ",").map(String.init)
                try require(choices.contains(needed), "\(key) \(needed) is not in what it offers: \(offer)")
            }
        }
        try await fixture.startGuest()
        let running = try await driver.machine(fixture.uuid)
        try fits(running, try await driver.offer())
        guard driver.capabilities.lacks[.definitions] == nil else { return }
        try await driver.destroy(fixture.uuid)
        try fits(running, try await driver.offer())
    }

    func tellsUnknownMachines() async throws {
        func isUnknown(_ what: String, _ body: () async throws -> Void) async throws {
            let error = try await refusal("to \(what) an unknown VM", body)
            if case .unknownMachine = error { return }
            throw Breach("to \(what) an unknown VM says \(error)")
        }
        try await isUnknown("look at") { _ = try await driver.machine(nobody) }
        try await isUnknown("describe") { _ = try await driver.description(of: nobody) }
        try await isUnknown("resume") { try await driver.resume(nobody) }
        try await isUnknown("keep") { try await driver.keep(nobody) }
        try await isUnknown("announce") { try await driver.announce(nobody) }
        try await isUnknown("cut") {
            _ = try await driver.prepareCut(of: nobody, workspace: fixture.workspace, sink: CollectingSink())
        }
        try await driver.destroy(nobody)
        try await driver.endWriteError(nobody)
        try await nothingIsLeft()
    }

    func tellsAnAbsentHypervisor() async throws {
        guard let absent = fixture.absentDriver() else { throw Breach("the fixture has no absent hypervisor") }
        func isUnavailable(_ what: String, _ body: () async throws -> Void) async throws {
            let error = try await refusal("to \(what) without a hypervisor", body)
            guard case .unavailable(let text) = error, error.passes else {
                throw Breach("to \(what) without a hypervisor says \(error)")
            }
            try require(text.count > 40, "an absent hypervisor is not explained: \(text)")
        }
        try await isUnavailable("list") { _ = try await absent.machines() }
        try await isUnavailable("look") { _ = try await absent.machine(fixture.uuid) }
        try await isUnavailable("resume") { try await absent.resume(fixture.uuid) }
        try await isUnavailable("destroy") { try await absent.destroy(fixture.uuid) }
        try await isUnavailable("cut") {
            _ = try await absent.prepareCut(of: fixture.uuid, workspace: fixture.workspace, sink: CollectingSink())
        }
        try await nothingIsLeft()
    }

    func refusesWhatItCannotCut() async throws {
        try await fixture.startGuest()
        let error = try await refusal("a cut") { try await prepare() }
        guard case .unsupported(let text) = error else { throw Breach("a cut is refused with \(error)") }
        try require(text.contains(fixture.name), "the refusal does not name the VM: \(text)")
        let state = try await fixture.guestState()
        try require(state == .running, "the VM is \(state) after the refusal")
        try await nothingIsLeft()
    }
}
