@testable import SimulatedCluster

extension MutantTests {
    /// The first seed that catches each defect, and the promise it breaks, as `make simulate-mutants` prints them.
    static let known: [Mutant: (seed: UInt64, invariant: Violation.Invariant)] = [
        .releaseBarrierOmitted: (8, .exactLog),
        .armAcknowledgedEarly: (3, .noOrphan),
        .oneMemberGated: (5, .exactLog),
        .placeAfterThaw: (5, .exactLog),
        .silentWatchdog: (2, .noOrphan),
        .attestationIgnored: (147, .exactLog),
        .foreignMarkerAccepted: (28, .exactLog),
        .markersBeforeArm: (916, .exactLog),
        .missingMarkersHidden: (5, .exactLog),
        .heldLogForgotten: (3, .exactLog),
        .lateSegmentsNotLogged: (30, .exactLog),
        .lateLogAfterThaw: (44, .exactLog),
        .lateLogLeftOpen: (5, .exactLog),
        .lateSegmentsSwallowed: (2, .openForTraffic),
        .wholeQueueLogged: (5, .exactLog),
        .releaseOutOfOrder: (1, .openForTraffic),
        .heldDroppedOnAbort: (2, .openForTraffic),
        .gateLeftClosedOnAbort: (13, .nothingFrozen),
        .guestLeftPausedOnAbort: (36, .nothingFrozen),
        .recoveryForgotten: (321, .nothingFrozen),
        .manifestTooEarly: (1, .allOrNothing),
        .discardForgotten: (1, .allOrNothing),
        .logReplayedTwice: (3, .restore),
        .replayForgotten: (3, .restore),
        .logReplayedOutOfOrder: (3, .restore),
        .fenceForgotten: (3, .restore),
    ]
}
