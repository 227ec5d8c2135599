import SnapshotProtocol

extension Manager {
    /// Between two looks at who is connected.
    private static let pause: Duration = .milliseconds(50)

    /// What every connected host runs, once `hosts` are connected and can say it, or a bound has passed.
    ///
    /// Agents that were restarted, or that lost a manager which was restarted, dial in within seconds; a job that comes
    /// in between need not be refused for that. `announce` is called once if there is something to wait for.
    func inventory(
        awaiting hosts: Set<HostName>, for handle: JobHandle, announce: @Sendable () -> Void
    ) async -> Inventory {
        let end = ContinuousClock.now + .milliseconds(Int64(limits.reconnectBound))
        var announced = false
        while true {
            let connected = Set(await registry.connected.keys)
            if connected.isSuperset(of: hosts) || handle.isCancelled || ContinuousClock.now >= end {
                let inventory = await registry.inventory(bound: limits.inventoryBound)
                let isEnough = inventory.hasAnswers(of: hosts)
                if isEnough || handle.isCancelled || ContinuousClock.now >= end { return inventory }
            }
            if !announced { announce() }
            announced = true
            try? await Task.sleep(for: Self.pause)
        }
    }
}

extension Inventory {
    /// Whether each of `hosts` said what it has, or why it cannot for longer than a restart takes.
    fileprivate func hasAnswers(of wanted: Set<HostName>) -> Bool {
        wanted.allSatisfy { host in
            switch hosts[host] {
            case .success: !(outages[host] ?? []).contains(where: \.isSilent)
            case .failure(let failure): failure.code != .hostUnavailable && failure.code != .hypervisorUnavailable
            case nil: false
            }
        }
    }
}
