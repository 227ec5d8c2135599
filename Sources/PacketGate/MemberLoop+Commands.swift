import Packets

/// What the epoch asks for, in its order.
extension MemberLoop {
    /// What a release found out about this member.
    struct Facts: Sendable {
        var held: UInt64 = 0
        var heldBeforeCut: UInt64 = 0
        var overflowed: UInt64 = 0
        var reasons: [String] = []
        var watchdogFired = false
        var markersMissing: [String] = []
        var bleached: [String] = []
        var markersRejected: UInt64 = 0
        var releasedAt: UInt64 = 0
        /// What was emitted before the cut and held.
        var sent = SegmentStore()
        /// What arrived from members after the beginning of the cut and was emitted before theirs.
        var received = SegmentStore()
    }

    /// Before the rules are made: from now on what comes is held or coloured.
    func arm(_ mode: GateMode, until deadline: UInt64) {
        self.mode = mode
        egressPhase = mode == .hold ? .holding : .colouring
        self.deadline = deadline
    }

    /// From colour to hold mode; false when the gate has opened or its member is cut.
    func fallBack(until deadline: UInt64) -> Bool {
        guard egressPhase == .colouring, !hasPlace else { return false }
        // What is in the socket was emitted before.
        takeEgress(limit: Self.all)
        takeIngress(limit: Self.all)
        heedsColour = false
        if ingressPhase == .passing { deliverWaiting() }
        arm(.hold, until: deadline)
        return true
    }

    func heedColour() {
        guard egressPhase == .colouring, !hasPlace else { return }
        // What is in the socket arrived before the flush was over: its colour is nobody's.
        takeIngress(limit: Self.all)
        heedsColour = true
    }

    func beginCut() {
        guard isGating, !hasPlace else { return }
        // What is in the socket arrived before: it goes the way that it would have gone.
        takeIngress(limit: Self.all)
        ingressPhase = .holding
    }

    /// False when the gate has opened, so that there is no place.
    func notePlace() -> Bool {
        guard isGating, !hasPlace else { return false }
        takeEgress(limit: Self.all)
        takeIngress(limit: Self.all)
        hasPlace = true
        heldBeforeCut = held
        recordWaiting()
        markers.beginAnew()
        heedsColour = false
        deliverWaiting()
        ingressPhase = .recording
        return true
    }

    func cancelCut() {
        guard !hasPlace else { return }
        ingressPhase = .passing
        deliverUncut()
    }

    func stopRecording() {
        if ingressPhase == .recording {
            takeIngress(limit: Self.all)
            ingressPhase = .passing
        } else {
            cancelCut()
        }
    }

    /// Lets everything go on that waits, in order, and from now on whatever comes.
    func open() {
        stopRecording()
        openIngress()
        guard isGating else { return }
        takeEgress(limit: Self.all)
        openEgress()
    }

    private func openIngress() {
        heedsColour = false
        deliverWaiting()
    }

    /// States what was held, after a look at the kernel's side of it, and lets it go.
    func release() -> Facts {
        stopRecording()
        if isGating {
            takeEgress(limit: Self.all)
            inspectQueues()
        }
        let releasedAt = GateClock.wall
        openIngress()
        if isGating { openEgress() }
        var facts = Facts()
        facts.held = mode == .hold ? held : heldColoured
        facts.heldBeforeCut = heldBeforeCut
        facts.overflowed = overflowed
        facts.reasons = reasons
        facts.watchdogFired = hasFired
        facts.markersMissing = markers.missing(mode == .hold ? .flush : .cut)
        facts.bleached = markers.bleached(.cut)
        facts.markersRejected = markersRejected
        facts.releasedAt = releasedAt
        if hasPlace { facts.sent = sent }
        facts.received = received
        sent = SegmentStore()
        received = SegmentStore()
        return facts
    }

    /// The rules are gone and so is what was on its way from them to here: takes the rest.
    func finish() {
        open()
        takeEgress(limit: Self.all)
        takeIngress(limit: Self.all)
        egressPhase = .closed
    }
}
