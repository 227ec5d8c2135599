/// Defects that one could really write, switched on in the drivers around the machines. Each must be caught.
package enum Mutant: String, CaseIterable, Sendable {
    /// The manager lets a host release as soon as that host has cut.
    case releaseBarrierOmitted
    /// The agent acknowledges the arming before its rules are live.
    case armAcknowledgedEarly
    /// Only the first member of a host is gated.
    case oneMemberGated
    /// The place in the held queue is noted after the guest runs again.
    case placeAfterThaw
    /// The watchdog opens the gate, and nobody is told.
    case silentWatchdog
    /// The manager takes every gate for unbroken.
    case attestationIgnored
    /// Markers are not checked against the epoch's key.
    case foreignMarkerAccepted
    /// Markers go out before the gates are closed.
    case markersBeforeArm
    /// After the bound, missing markers are reported as none.
    case missingMarkersHidden
    /// Held segments that belong to the channel state are not logged.
    case heldLogForgotten
    /// Segments that arrive after the cut are delivered and not logged.
    case lateSegmentsNotLogged
    /// Late segments are logged only after the guest runs again.
    case lateLogAfterThaw
    /// The late log stays open until the release.
    case lateLogLeftOpen
    /// Late segments are logged and not delivered.
    case lateSegmentsSwallowed
    /// Held segments after the place are logged too.
    case wholeQueueLogged
    /// Held segments go out last first.
    case releaseOutOfOrder
    /// What the gate held is dropped when the epoch is given up.
    case heldDroppedOnAbort
    case gateLeftClosedOnAbort
    /// A host's first rule stays when its gates open, and what it takes goes nowhere.
    case ruleLeftBehind
    case guestLeftPausedOnAbort
    /// An agent that starts again does not wake the guests that it had frozen.
    case recoveryForgotten
    /// The manifest is written when the last gate opens, before the images are stored.
    case manifestTooEarly
    /// What was stored of an epoch given up stays in the repository.
    case discardForgotten
    /// An agent that has lost its manager goes on waiting for it.
    case managerLossIgnored
    /// A manager that starts again leaves what its predecessor had not sealed.
    case restartForgetsToCollect
    /// The manager does not look to which epoch a report belongs.
    case staleReportBelieved
    /// The colour is heeded only after the cut.
    case heedAfterCut
    /// Coloured segments are delivered to a member that is not cut.
    case holdForgotten
    /// Coloured segments wait until the release, and not only until the cut of their receiver.
    case colouredHeldUntilRelease
    /// What a member emits is coloured only after it runs again.
    case colourAfterThaw
    /// A host colours nothing more when its own members are cut.
    case colouringEndsAtCut
    /// A guest that uses the bit itself goes on to do so behind an armed gate.
    case guestBitNotCleared
    /// Uncoloured segments that come after the cut are not logged.
    case uncolouredLateNotLogged
    /// Coloured segments that come after the cut are logged.
    case colouredLogged
    /// The log of a channel stays open though the marker of its sender's cut is in.
    case logNotClosedByMarker
    /// Probes without their colour are reported as if they had it: the fall back is forgotten.
    case bleachedProbesBelieved
    /// Missing markers of cuts are reported as none.
    case missingCutMarkersHidden
    /// The marker of a cut that came before its receiver's is taken for proof.
    case earlyMarkerProves
    /// Any coloured segment is taken for a command to cut, also one from an epoch given up earlier.
    case colouredTakenForCommand
    /// Gates that colour are not armed again when the epoch falls back to hold mode.
    case gatesNotRearmed
    /// A report from before the fall back is taken for one that came after it.
    case oldArmedBelieved
    /// The restore writes the logs twice.
    case logReplayedTwice
    /// The restore writes no log.
    case replayForgotten
    /// The restore writes the held segments before the late ones.
    case logReplayedOutOfOrder
    /// A member runs as soon as it is loaded.
    case startedWhenLoaded
    /// The fence is lifted as soon as a member is loaded.
    case fenceLiftedWhenLoaded
    /// The fence stands, and the members that run are not stopped.
    case originalLeftRunning
    /// What was loaded stays when the restore is given up.
    case loadedLeftOnDiscard
    /// An agent that starts again leaves what its predecessor had loaded.
    case loadedLeftOnRecovery
    /// The restore does not fence the abandoned timeline.
    case fenceForgotten
}
