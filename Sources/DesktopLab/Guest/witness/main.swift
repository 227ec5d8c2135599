import Glibc

// The first process of a guest of the lab: talks to the witness of every other member and reports on the console what
// an inconsistent snapshot would break.

let settings = Settings.ofKernel()
let connections = (1...max(1, settings.members)).filter { $0 != settings.index }.flatMap { peer in
    [Connection(peer: peer, kind: .ping, settings: settings), Connection(peer: peer, kind: .bulk, settings: settings)]
}
let listeners = [Listener(kind: .ping), Listener(kind: .bulk)]
let journal = DiskJournal(interval: settings.diskInterval)
let detector = RestoreDetector()
let reporter = Reporter()
var restores = 0
var restoredAt: UInt64 = 0
var reportDue = monotonicNow() + settings.reportInterval

journal.start()
while true {
    let before = monotonicNow()
    var wake = reportDue
    for connection in connections where connection.descriptor >= 0 && connection.state == .open {
        if connection.kind == .bulk || connection.initiates, connection.due > before {
            wake = min(wake, connection.due)
        }
    }
    var polled =
        listeners.map { pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0) }
        + connections.map { pollfd(fd: $0.descriptor, events: $0.interest, revents: 0) }
    // Rounded up: a round too early would spin until the time has come.
    poll(&polled, nfds_t(polled.count), wake > before ? Int32((wake - before + 999_999) / 1_000_000) : 0)

    let now = monotonicNow()
    if let start = detector.restored(now) {
        restores += 1
        restoredAt = start
        for connection in connections { connection.restarted(at: start) }
        // The first report waits: writing it is new code to an emulated guest, which would keep it from listening.
        reportDue = max(reportDue, start + settings.reportDelay)
    }
    for (place, listener) in listeners.enumerated() where polled[place].revents != 0 {
        while let (descriptor, peer) = listener.accept() {
            if let connection = connections.first(where: { $0.peer == peer && $0.kind == listener.kind }) {
                connection.adopt(descriptor, now: now)
            } else {
                close(descriptor)
            }
        }
    }
    for (place, connection) in connections.enumerated() {
        // A connection replaced in this round is asked again in the next.
        let entry = polled[listeners.count + place]
        if entry.fd == connection.descriptor { connection.handle(events: entry.revents, now: now) }
        connection.tick(now)
    }
    if now >= reportDue {
        reporter.report(
            now: now, restores: restores, restoredAt: restoredAt, disk: journal.status, connections: connections)
        reportDue = max(reportDue + settings.reportInterval, now)
    }
    reporter.flush()
}
