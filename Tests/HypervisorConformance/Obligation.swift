package import Hypervisor

/// What every driver owes the protocol, one obligation a case. `Conformance` shows whether a driver meets it.
package enum Obligation: String, CaseIterable, Sendable {
    // Looking

    /// The list has the VM, as it is when asked for alone.
    case listsItsMachines
    /// What it offers fits the VMs that it has, and there is a version, also when none of them has a process.
    case offersWhatItsMachinesNeed
    /// An unknown VM is called that, and to end it is no error.
    case tellsUnknownMachines
    /// A hypervisor that is out of reach is called unavailable.
    case tellsAnAbsentHypervisor
    /// What cannot be cut is refused as unsupported.
    case refusesWhatItCannotCut

    // Preparing

    /// The guest does not notice that it is prepared, and has its own disks.
    case preparationTouchesNothing
    /// A VM that is off is refused, and stays off.
    case refusesAMachineThatIsOff
    /// A VM that its owner has paused is refused, and stays paused.
    case refusesAMachineThatIsPaused
    /// A VM that was paused between preparation and cut is not cut.
    case refusesAMachineThatWasPausedMeanwhile

    // Cutting

    /// Nothing of the guest goes on while `whileFrozen` is called.
    case standsStillWhileFrozen
    /// The guest runs when `perform` returns, and was not started anew.
    case runsAfterTheCut
    /// The list and the VM can be looked at while it is cut.
    case canBeLookedAtWhileCut
    /// The image leaves the processor to others before `imageComplete`.
    case imageWaitsForTheGates
    /// Two cuts in a row, each of the VM's own disks and with a whole image.
    case cutsTwiceInARow
    /// Nothing of a cut is left: no file, no process, nothing in the hypervisor.
    case leavesNothing

    // Giving up

    /// The guest runs when `whileFrozen` has thrown, before anybody gives the cut up.
    case runsAfterAFailureWhileFrozen
    /// A sink that fails at its first byte.
    case runsAfterASinkThatTakesNothing
    /// A sink that fails after some MiB.
    case runsAfterASinkThatFailsInTheMiddle
    /// Given up before it was made: it cannot be made any more.
    case canBeAbandonedBeforeTheCut
    /// Given up while the guest is frozen.
    case canBeAbandonedDuringTheCut
    /// Given up while the image is saved.
    case canBeAbandonedAfterTheCut
    /// Ends may be repeated, come in any order and at once.
    case endsInAnyOrder
    /// The guest's process is killed in the middle: an error, and nothing is left.
    case survivesAKilledGuest
    /// A guest that cannot write into its overlay runs again at the end.
    case runsAfterAWriteError

    // Disks

    /// After the end the VM has its own disks, with everything that it wrote meanwhile.
    case givesTheDisksBackWithEverything
    /// Frozen disks hold exactly what they held at the cut, however much is written.
    case frozenDisksAreOfTheCut
    /// All disks are of one instant.
    case disksAreOfOneInstant

    // Loading

    /// A loaded VM is paused, and goes on from the cut.
    case loadedGoesOnFromTheCut
    /// A damaged or incomplete image is refused, and nothing is left.
    case refusesADamagedImage
    /// A description that is damaged or of another VM is refused.
    case refusesAForeignDescription
    /// A VM that runs is not loaded over, nor touched.
    case refusesToLoadARunningMachine
    /// A loaded VM that was kept is known also when it is off.
    case keepsALoadedMachine

    // Living

    /// To resume, keep, announce, end a write error and destroy may be repeated.
    case repeatsAreHarmless
    /// On a VM that is off: nothing to end, and nothing to resume.
    case offIsOff

    // Recovering

    /// An agent vanished after the preparation.
    case recoversAPreparation
    /// An agent vanished while the guest was frozen.
    case recoversAFrozenGuest
    /// An agent vanished while the image was saved.
    case recoversAnUnfinishedImage
    /// An agent vanished when all was stored, before it ended the cut.
    case recoversACompleteCut
    /// An agent vanished, and then the guest.
    case recoversAKilledGuest
    /// One VM that cannot be put right does not keep the others from it.
    case recoversTheOthers

    /// What a driver and its fixture must have to show it.
    package var needs: [DriverCapability] {
        switch self {
        case .listsItsMachines, .offersWhatItsMachinesNeed, .tellsUnknownMachines, .refusesWhatItCannotCut,
            .refusesAForeignDescription:
            []
        case .tellsAnAbsentHypervisor: [.daemon]
        case .repeatsAreHarmless, .offIsOff: [.definitions]
        case .imageWaitsForTheGates, .canBeAbandonedAfterTheCut, .runsAfterASinkThatFailsInTheMiddle,
            .recoversAnUnfinishedImage:
            [.cuts, .backgroundImages]
        case .refusesAMachineThatIsOff: [.cuts, .definitions]
        case .runsAfterAWriteError: [.cuts, .backgroundImages, .writeErrors]
        case .loadedGoesOnFromTheCut, .refusesADamagedImage, .refusesToLoadARunningMachine: [.cuts, .loads]
        case .keepsALoadedMachine: [.cuts, .loads, .definitions]
        default: [.cuts]
        }
    }
}
