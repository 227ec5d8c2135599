import Foundation

/// Starts the lab's daemons again when they die, as their units make systemd do it, and nothing else.
package actor LabSupervisor {
    private struct Unit: Sendable {
        var role: String
        /// RestartSec of the unit.
        var delay: Duration
        /// Nil for the manager.
        var desktop: Int?
    }

    private let lab: Lab
    private let units: [Unit]
    private var diedAt: [String: ContinuousClock.Instant] = [:]
    /// Desktops that are switched off.
    private var dark: Set<Int> = []
    private var task: Task<Void, Never>?

    package init(lab: Lab) {
        self.lab = lab
        var units = [Unit(role: ProductDaemons.managerRole, delay: .seconds(1), desktop: nil)]
        for desktop in lab.desktops {
            units.append(
                Unit(role: ProductDaemons.agentRole(desktop.name), delay: .seconds(1), desktop: desktop.number))
            guard lab.configuration.hypervisor.uses(.libvirt) else { continue }
            // systemd's own delay: the unit of Debian's package names none.
            units.append(
                Unit(role: lab.daemon(desktop.number).role, delay: .milliseconds(100), desktop: desktop.number))
        }
        self.units = units
    }

    package func start() {
        task = Task {
            while !Task.isCancelled {
                await self.look()
                try? await Task.sleep(for: .milliseconds(50))
            }
        }
    }

    package func stop() async {
        task?.cancel()
        await task?.value
        task = nil
    }

    package func switchOff(_ desktop: Int) { dark.insert(desktop) }
    package func switchOn(_ desktop: Int) { dark.remove(desktop) }

    private func look() async {
        guard let processes = try? lab.processes() else { return }
        for unit in units {
            if processes.last(where: { $0.process.role == unit.role })?.isRunning == true {
                diedAt[unit.role] = nil
                continue
            }
            if let desktop = unit.desktop, dark.contains(desktop) {
                diedAt[unit.role] = nil
                continue
            }
            let died = diedAt[unit.role] ?? .now
            diedAt[unit.role] = died
            guard ContinuousClock.now - died >= unit.delay else { continue }
            // One that ends again at once waits as long again.
            diedAt[unit.role] = nil
            do {
                try await launch(unit)
            } catch {
                FileHandle.standardError.write(Data("\(unit.role) was not started: \(error)\n".utf8))
            }
        }
    }

    private func launch(_ unit: Unit) async throws {
        let lab = lab
        let record: @Sendable (DaemonProcess) async throws -> Void = { try lab.replace($0) }
        let products = try ProductDaemons(lab.configuration)
        switch unit.desktop {
        case nil: try await record(try products.launchManager())
        case let desktop? where unit.role == lab.daemon(desktop).role:
            try await lab.daemon(desktop).launch(record: record)
        case let desktop?: try await record(try products.launchAgent(desktop: desktop))
        }
    }
}
