import Packets

/// What comes for the member.
extension MemberLoop {
    func takeIngress(limit: Int) {
        guard let ingress else { return }
        var taken = 0
        // Goes on with all before it, as long as none of those waits.
        var last: UInt32?
        func letGo() {
            if let last { settle(ingress.accept(upTo: last)) }
            last = nil
        }
        while taken < limit {
            guard take(from: ingress, or: { loseQueue("its ingress socket failed: \($0)") }) else {
                if taken == 0 { backlog.ingress = 0 }
                break
            }
            taken += ingress.packets.count
            backlog.ingress += UInt64(ingress.packets.count)
            for packet in ingress.packets {
                if egressPhase == .idle || egressPhase == .closed { countOutside(1) }
                if Marker.isCandidate(packet: packet.payload) {
                    // A verdict of its own: the batch that lets its neighbours go on never meets it.
                    settle(ingress.drop(packet.id))
                    noteMarker(packet)
                    continue
                }
                let sender = sender(of: packet.source)
                if mustWait(sender, isColoured: packet.isColoured) {
                    // A later verdict on one packet must not overtake this one.
                    letGo()
                    hold(packet, from: sender)
                    continue
                }
                if ingressPhase == .recording, let sender, isChannelState(sender, isColoured: packet.isColoured) {
                    received.append(packet, time: nextTime())
                }
                if waiting.entries.isEmpty { last = packet.id } else { settle(ingress.accept(packet.id)) }
            }
        }
        letGo()
    }

    private func mustWait(_ sender: String?, isColoured: Bool) -> Bool {
        ingressPhase == .holding || heedsColour && isColoured && sender != nil
    }

    private func hold(_ packet: PacketQueue.Packet, from sender: String?) {
        // In hold mode all gates of the cluster are closed until all have cut, so whatever waits for the place was
        // emitted before its sender's cut, marker or not.
        let isState = sender.map { mode == .hold || isChannelState($0, isColoured: packet.isColoured) } ?? false
        waiting.append(packet, time: nextTime(), isChannelState: isState)
        guard mode == .colour, sender != nil, packet.isColoured else { return }
        heldColoured += 1
        if ingressPhase == .passing { tellColour() }
    }

    private func tellColour() {
        guard !hasToldColour else { return }
        hasToldColour = true
        report(.colourArrived(member: member))
    }

    /// Whether a member's segment that comes now was emitted before its sender's cut.
    private func isChannelState(_ sender: String, isColoured: Bool) -> Bool {
        switch mode {
        // After the channel's marker there is none; what comes then is let go by a release.
        case .hold: !markers.isIn(.flush, from: sender)
        // The same, should a path begin to take the colour off behind the marker.
        case .colour: !isColoured && !markers.hasDrained(sender)
        }
    }

    /// The member whose segment this is; nil for others than members, and for this member itself.
    private func sender(of address: HardwareAddress?) -> String? {
        guard let address, let owner = owners[address], owner != member else { return nil }
        return owner
    }

    // MARK: - What waits

    /// Of what waits at the place, keeps a record of what its sender emitted before its own cut.
    func recordWaiting() {
        for entry in waiting.entries where entry.isChannelState { received.append(entry, of: waiting) }
    }

    /// Lets everything go on that waits, in order.
    func deliverWaiting() {
        if let last = waiting.entries.last, let ingress { settle(ingress.accept(upTo: last.id)) }
        waiting = SegmentStore()
    }

    /// Lets go on, in order, what waits only because a cut had begun.
    func deliverUncut() {
        guard heedsColour, let ingress else { return deliverWaiting() }
        let former = waiting
        waiting = SegmentStore()
        for entry in former.entries {
            if entry.isColoured && sender(of: entry.source) != nil {
                waiting.append(entry, of: former)
            } else {
                settle(ingress.accept(entry.id))
            }
        }
        if !waiting.entries.isEmpty { tellColour() }
    }

    // MARK: - Markers

    private func noteMarker(_ packet: PacketQueue.Packet) {
        guard let marker = signer.authentic(packet: Array(packet.payload)), members.contains(marker.sender),
            members.contains(marker.receiver)
        else { return markersRejected += 1 }
        // A bridge that does not know the receiver floods: that marker is another member's.
        guard marker.receiver == member else { return }
        noteMarker(marker.kind, from: marker.sender, nicIndex: marker.nicIndex, isColoured: packet.isColoured)
    }

    private func noteMarker(_ kind: Marker.Kind, from sender: String, nicIndex: UInt8, isColoured: Bool) {
        if let event = markers.note(kind, from: sender, nicIndex: nicIndex, isColoured: isColoured) { report(event) }
    }

    /// A sender on the same bridge: its channel is known to be flushed up to what the socket holds now, and no path is
    /// there that could bleach.
    func takeLocalMarker(_ kind: Marker.Kind, from sender: String, nicIndex: UInt8) {
        takeIngress(limit: Self.all)
        noteMarker(kind, from: sender, nicIndex: nicIndex, isColoured: true)
    }
}
