package import SnapshotProtocol
package import WireProtocol

/// The sessions that are open, one for each host at most.
package actor AgentRegistry {
    private var sessions: [HostName: AgentSession] = [:]
    private var stopping = false

    package init() {}

    /// The newer session of a host takes the place of the older, which may be a connection that died unnoticed.
    package func attach(_ session: AgentSession, _ hello: AgentHello) {
        guard !stopping else {
            session.close(Self.stopped)
            return
        }
        session.greet(hello)
        let former = sessions.updateValue(session, forKey: session.host)
        former?.close(
            Failure(.cancelled, "A newer session of \(session.host) has taken the place of this one."))
    }

    package func detach(_ session: AgentSession) {
        if sessions[session.host] === session { sessions[session.host] = nil }
        session.close(nil)
    }

    package var connected: [HostName: AgentSession] { sessions }

    /// Ends every session and takes no more.
    package func stop() {
        stopping = true
        for session in sessions.values { session.close(Self.stopped) }
        sessions = [:]
    }

    private static let stopped = Failure(.hostUnavailable, "The manager stops. Dial again later.")

    /// What every connected host runs, asked of all at once.
    package func inventory(bound: UInt64) async -> Inventory {
        let sessions = self.sessions
        return await withTaskGroup(of: (HostName, Result<[MachineSummary], Failure>).self) { group in
            for (host, session) in sessions {
                group.addTask { (host, await session.machines(bound: bound)) }
            }
            var inventory = Inventory()
            for await (host, result) in group {
                inventory.hosts[host] = result
                // An agent says them before it says what it has.
                inventory.outages[host] = HypervisorOutage.all(in: sessions[host]?.offers ?? [:])
            }
            return inventory
        }
    }
}
