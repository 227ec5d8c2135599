@testable import SimulatedCluster

extension MutantTests {
    /// The first seed that catches each defect, and the promise it breaks, as `make simulate-mutants` prints them.
    static let known: [Mutant: (seed: UInt64, invariant: Violation.Invariant)] = [
        .releaseBarrierOmitted: (10, .exactLog),
        .armAcknowledgedEarly: (40, .exactLog),
        .oneMemberGated: (1, .exactLog),
        .placeAfterThaw: (1, .exactLog),
        .silentWatchdog: (30, .noOrphan),
        .attestationIgnored: (40, .exactLog),
        .foreignMarkerAccepted: (25, .exactLog),
        .markersBeforeArm: (394, .exactLog),
        .missingMarkersHidden: (13, .exactLog),
        .heldLogForgotten: (1, .exactLog),
        .lateSegmentsNotLogged: (34, .exactLog),
        .lateLogAfterThaw: (121, .exactLog),
        .lateLogLeftOpen: (10, .exactLog),
        .lateSegmentsSwallowed: (21, .openForTraffic),
        .wholeQueueLogged: (1, .exactLog),
        .releaseOutOfOrder: (1, .openForTraffic),
        .heldDroppedOnAbort: (4, .openForTraffic),
        .gateLeftClosedOnAbort: (4, .nothingFrozen),
        .guestLeftPausedOnAbort: (21, .nothingFrozen),
        .recoveryForgotten: (27, .nothingFrozen),
        .manifestTooEarly: (2, .allOrNothing),
        .discardForgotten: (2, .allOrNothing),
        .managerLossIgnored: (50, .nothingFrozen),
        .restartForgetsToCollect: (263, .allOrNothing),
        .staleReportBelieved: (2329, .allOrNothing),
        .logReplayedTwice: (1, .restore),
        .replayForgotten: (15, .restore),
        .logReplayedOutOfOrder: (1, .restore),
        .fenceForgotten: (1, .restore),
    ]
}
