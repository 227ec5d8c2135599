import SnapshotProtocol

/// The control connections: each agent dials, says hello, and dials anew when it has noticed that its session is over.
/// A session is a number per host; what belongs to an older one finds nobody.
extension World {
    /// When something sent now by or to a host arrives, unless its session breaks before.
    func controlArrival(_ host: Int, after last: UInt64) -> UInt64 {
        max(last + 1, max(now, hosts[host].controlCut) + random.span(80, 1_500))
    }

    /// The connection carries nothing more; each end notices in its own time, the manager perhaps only when the agent
    /// says hello again.
    func breakSession(_ host: Int) {
        hosts[host].broken = hosts[host].lastSession
        if hosts[host].session != 0 { agentNotices(host, after: random.span(100, 40_000)) }
        if registered[host] != 0, random.chance(600) { managerNotices(host, after: random.span(100, 40_000)) }
    }

    /// Nothing passes for a while. An end that waits longer than its patience gives the session up; if neither does,
    /// everything that was sent arrives afterwards.
    func cutControl(_ host: Int, for duration: UInt64) {
        hosts[host].controlCut = max(hosts[host].controlCut, now + duration)
        let patience = (agent: random.span(5_000, 300_000), manager: random.span(5_000, 300_000))
        if patience.agent < duration, hosts[host].session != 0 { agentNotices(host, after: patience.agent) }
        if patience.manager < duration, registered[host] != 0 { managerNotices(host, after: patience.manager) }
    }

    func agentNotices(_ host: Int, after delay: UInt64) {
        queue.push(.hostNotices(host: UInt8(host), session: hosts[host].session), at: now + delay)
    }

    func managerNotices(_ host: Int, after delay: UInt64) {
        queue.push(.managerNotices(host: UInt8(host), session: registered[host]), at: now + delay)
    }

    /// The agent's end of a session is over.
    func closeAtAgent(_ host: Int, _ session: UInt16) {
        guard hosts[host].session == session else { return }
        note("d\(host) has lost the manager")
        hosts[host].session = 0
        queue.push(
            .managerNotices(host: UInt8(host), session: session),
            at: max(now, hosts[host].controlCut) + random.span(100, 40_000))
        queue.push(.dial(host: UInt8(host)), at: now + random.span(5_000, 60_000))
        guard mutant != .managerLossIgnored else { return }
        tell(host, .managerLost)
        tellRestore(host, .managerLost)
    }

    func dial(_ host: Int) {
        guard hosts[host].session == 0 else { return }
        guard managerUp, hosts[host].controlCut <= now else {
            queue.push(.dial(host: UInt8(host)), at: now + random.span(20_000, 60_000))
            return
        }
        hosts[host].lastSession += 1
        hosts[host].session = hosts[host].lastSession
        note("d\(host) dials: session \(hosts[host].session)")
        queue.push(.hello(host: UInt8(host), session: hosts[host].session), at: now + random.span(100, 2_000))
    }

    /// The newer session of a host takes the place of the older.
    func welcome(_ host: Int, _ session: UInt16) {
        guard session > hosts[host].broken, session == hosts[host].lastSession else { return }
        let former = registered[host]
        registered[host] = session
        note("manager is greeted by d\(host): session \(session)")
        if former != 0 { lose(host, former) }
    }

    /// The manager's end of a session is over.
    func closeAtManager(_ host: Int, _ session: UInt16) {
        guard registered[host] == session else { return }
        registered[host] = 0
        note("manager has lost d\(host)")
        queue.push(
            .hostNotices(host: UInt8(host), session: session),
            at: max(now, hosts[host].controlCut) + random.span(100, 5_000))
        lose(host, session)
    }

    private func lose(_ host: Int, _ session: UInt16) {
        if jobSessions[host] == session {
            jobSessions[host] = 0
            tellManager(.hostLost(Names.host(host)))
        }
        if restoring.sessions[host] == session {
            restoring.sessions[host] = 0
            tellRestore(.hostLost(Names.host(host)))
        }
    }

    func crashManager(for duration: UInt64) {
        guard managerUp else { return }
        managerUp = false
        jobAlive = false
        restoring.jobAlive = false
        managerFrozenUntil = 0
        for host in hosts.indices {
            registered[host] = 0
            jobSessions[host] = 0
            restoring.sessions[host] = 0
            hosts[host].broken = hosts[host].lastSession
            if hosts[host].session != 0 { agentNotices(host, after: random.span(100, 40_000)) }
        }
        queue.push(.managerRestarts, at: now + duration)
    }

    /// Knows nothing of the epoch or the restore that was under way; removes what is not listed, and waits for hellos.
    func restartManager() {
        managerUp = true
        note("the manager starts again")
        if !manifestListed, mutant != .restartForgetsToCollect { collectGarbage() }
    }
}
