import DesktopLab
import Hypervisor

/// Shows whether a driver meets its obligations. Each check leaves the guest as it may be, and the next one starts it.
package struct Conformance: Sendable {
    let table: ConformanceTable

    package init(table: ConformanceTable = .shared) { self.table = table }

    /// Throws a `Breach` that says what was seen. Notes the verdict in the table, also that an obligation does not apply,
    /// which is no breach, and why.
    package func check(_ obligation: Obligation, on fixture: some DriverFixture) async throws {
        let column = "\(fixture.driver.name) \(fixture.label)"
        if let why = Self.reason(against: obligation, on: fixture) {
            return table.note(.doesNotApply(why), of: column, obligation)
        }
        do {
            let trial = Trial(fixture)
            if obligation.needs.contains(.cuts) { try await trial.begin() }
            try await trial.show(obligation)
            table.note(.met, of: column, obligation)
        } catch {
            table.note(.broken("\(error)"), of: column, obligation)
            throw error
        }
    }

    /// Why an obligation does not apply, if so.
    static func reason(against obligation: Obligation, on fixture: some DriverFixture) -> String? {
        let lacks = fixture.driver.capabilities.lacks.merging(fixture.limits) { driver, _ in driver }
        if obligation == .refusesWhatItCannotCut, lacks[.cuts] == nil { return "every guest of the fixture can be cut" }
        if obligation == .disksAreOfOneInstant, fixture.disks.count < 2 { return "the fixture's guest has one disk" }
        return obligation.needs.lazy.compactMap { lacks[$0] }.first
    }
}

/// One obligation on one fixture.
struct Trial<Fixture: DriverFixture>: Sendable {
    let fixture: Fixture

    init(_ fixture: Fixture) { self.fixture = fixture }

    var driver: any HypervisorDriver { fixture.driver }

    func show(_ obligation: Obligation) async throws {
        switch obligation {
        case .listsItsMachines: try await listsItsMachines()
        case .offersWhatItsMachinesNeed: try await offersWhatItsMachinesNeed()
        case .tellsUnknownMachines: try await tellsUnknownMachines()
        case .tellsAnAbsentHypervisor: try await tellsAnAbsentHypervisor()
        case .refusesWhatItCannotCut: try await refusesWhatItCannotCut()
        case .preparationTouchesNothing: try await preparationTouchesNothing()
        case .refusesAMachineThatIsOff: try await refusesAMachineThatIsOff()
        case .refusesAMachineThatIsPaused: try await refusesAMachineThatIsPaused()
        case .refusesAMachineThatWasPausedMeanwhile: try await refusesAMachineThatWasPausedMeanwhile()
        case .standsStillWhileFrozen: try await standsStillWhileFrozen()
        case .runsAfterTheCut: try await runsAfterTheCut()
        case .canBeLookedAtWhileCut: try await canBeLookedAtWhileCut()
        case .imageWaitsForTheGates: try await imageWaitsForTheGates()
        case .cutsTwiceInARow: try await cutsTwiceInARow()
        case .leavesNothing: try await leavesNothing()
        case .runsAfterAFailureWhileFrozen: try await runsAfterAFailureWhileFrozen()
        case .runsAfterASinkThatTakesNothing: try await runsAfterASinkThatFails(at: 0)
        case .runsAfterASinkThatFailsInTheMiddle: try await runsAfterASinkThatFails(at: 3 << 20)
        case .canBeAbandonedBeforeTheCut: try await canBeAbandonedBeforeTheCut()
        case .canBeAbandonedDuringTheCut: try await canBeAbandonedDuringTheCut()
        case .canBeAbandonedAfterTheCut: try await canBeAbandonedAfterTheCut()
        case .endsInAnyOrder: try await endsInAnyOrder()
        case .survivesAKilledGuest: try await survivesAKilledGuest()
        case .runsAfterAWriteError: try await runsAfterAWriteError()
        case .givesTheDisksBackWithEverything: try await givesTheDisksBackWithEverything()
        case .frozenDisksAreOfTheCut: try await frozenDisksAreOfTheCut()
        case .disksAreOfOneInstant: try await disksAreOfOneInstant()
        case .loadedGoesOnFromTheCut: try await loadedGoesOnFromTheCut()
        case .refusesADamagedImage: try await refusesADamagedImage()
        case .refusesAForeignDescription: try await refusesAForeignDescription()
        case .refusesToLoadARunningMachine: try await refusesToLoadARunningMachine()
        case .keepsALoadedMachine: try await keepsALoadedMachine()
        case .repeatsAreHarmless: try await repeatsAreHarmless()
        case .offIsOff: try await offIsOff()
        case .recoversAPreparation: try await recovers(.prepared)
        case .recoversAFrozenGuest: try await recovers(.frozen)
        case .recoversAnUnfinishedImage: try await recovers(.cut)
        case .recoversACompleteCut: try await recovers(.stored)
        case .recoversAKilledGuest: try await recovers(.killed)
        case .recoversTheOthers: try await recoversTheOthers()
        }
    }

    // MARK: What every check needs

    func require(_ holds: Bool, _ otherwise: @autoclosure () -> String) throws {
        if !holds { throw Breach(otherwise()) }
    }

    /// The error of the contract that `body` throws; a breach if it throws none.
    @discardableResult
    func refusal<Value>(_ what: String, _ body: () async throws -> Value) async throws -> HypervisorError {
        do {
            _ = try await body()
        } catch let error as HypervisorError {
            return error
        } catch {
            throw Breach("\(what) threw no error of the contract: \(error)")
        }
        throw Breach("\(what) was not refused")
    }

    func witness() throws -> GuestWitness {
        guard let witness = fixture.witness else { throw Breach("the fixture has no witness") }
        return witness
    }

    /// The guest works on its own disks, and nothing of an earlier check is left.
    func begin() async throws {
        try await driver.recover(workspace: fixture.workspace)
        try await fixture.startGuest()
        let witness = try witness()
        try await witness.report(after: witness.said) { $0.diskSequence > 0 }
        try await nothingIsLeft()
    }

    func prepare(_ sink: CollectingSink = CollectingSink()) async throws -> any PreparedCut {
        try await driver.prepareCut(of: fixture.uuid, workspace: fixture.workspace, sink: sink)
    }

    /// The guest says something new.
    func guestWorks() async throws {
        let witness = try witness()
        try await witness.report(after: witness.said)
    }

    /// By its hypervisor and by its own words.
    func guestRuns(_ when: String) async throws {
        let state = try await fixture.guestState()
        try require(state == .running, "the guest is \(state) \(when)")
        try await guestWorks()
    }

    func hasItsOwnDisks() async throws {
        let found = Set(try await driver.machine(fixture.uuid).disks)
        try require(found == Set(fixture.disks), "the VM's disks are \(found), not its own")
    }

    func nothingIsLeft() async throws {
        let files = Self.files(in: fixture.workspace)
        try require(files.isEmpty, "left in the workspace: \(files.joined(separator: ", "))")
        let open = OpenFiles.below(fixture.workspace)
        try require(open.isEmpty, "still open: \(open.joined(separator: ", "))")
        let residue = try await fixture.residue()
        try require(residue.isEmpty, "left in the hypervisor: \(residue.joined(separator: ", "))")
    }

    /// What every end of a cut must lead to while the guest has its process.
    func allIsAsBefore() async throws {
        let machine = try await driver.machine(fixture.uuid)
        try require(machine.state == .running, "the driver says that the VM is \(machine.state)")
        try await guestRuns("after the end")
        try await hasItsOwnDisks()
        try await nothingIsLeft()
        let report = try await witness().report(after: 0)
        try require(report.diskFailure == 0, "the guest could not use its disk: errno \(report.diskFailure)")
        try require(report.diskMismatches == 0, "the guest found other records on its disk than it wrote")
    }

    /// A whole cut, stored.
    func cutWhole(_ sink: CollectingSink = CollectingSink()) async throws {
        let cut = try await prepare(sink)
        _ = try await cut.perform {}
        try await cut.imageComplete()
        await cut.finish()
        await cut.settled()
    }
}
