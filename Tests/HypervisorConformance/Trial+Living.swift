import Hypervisor

extension Trial {
    private func expect(_ wanted: VirtualMachine.State, _ when: String) async throws {
        let state = try await fixture.guestState()
        try require(state == wanted, "the guest is \(state) \(when)")
        let machine = try await driver.machine(fixture.uuid)
        try require(machine.state == wanted, "the driver calls the VM \(machine.state) \(when)")
    }

    private var announces: Bool { driver.capabilities.lacks[.announcements] == nil }

    func repeatsAreHarmless() async throws {
        try await fixture.startGuest()
        try await expect(.running, "at first")
        try await driver.resume(fixture.uuid)
        try await expect(.running, "resumed although it ran")
        try await fixture.pauseGuest()
        try await driver.endWriteError(fixture.uuid)
        try await expect(.paused, "after a write error was ended that it had not")
        for _ in 0..<2 {
            try await driver.resume(fixture.uuid)
            try await expect(.running, "after it was resumed")
        }
        for _ in 0..<2 {
            try await driver.keep(fixture.uuid)
            try await driver.endWriteError(fixture.uuid)
            if announces { try await driver.announce(fixture.uuid) }
        }
        try await expect(.running, "after it was kept and announced")
        try await hasItsOwnDisks()
        for _ in 0..<2 {
            try await driver.destroy(fixture.uuid)
            try await expect(.off, "after it was destroyed")
        }
        try await nothingIsLeft()
    }

    func offIsOff() async throws {
        try await fixture.startGuest()
        try await driver.destroy(fixture.uuid)
        func isNotRunning(_ what: String, _ body: () async throws -> Void) async throws {
            let error = try await refusal("to \(what) a VM that is off", body)
            guard case .notRunning(_, "off") = error else { throw Breach("to \(what) a VM that is off says \(error)") }
        }
        try await isNotRunning("resume") { try await driver.resume(fixture.uuid) }
        if announces { try await isNotRunning("announce") { try await driver.announce(fixture.uuid) } }
        try await driver.endWriteError(fixture.uuid)
        try await driver.keep(fixture.uuid)
        try await driver.destroy(fixture.uuid)
        try await expect(.off, "after all that")
        try await hasItsOwnDisks()
        let listed = try await driver.machines().contains { $0.uuid == fixture.uuid }
        try require(listed, "a VM that is off is not in the list")
    }
}
