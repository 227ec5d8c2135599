import Foundation

/// What is left after the fault, and whether it may be.
extension FaultExercise {
    func emulators() -> [String: Int32] {
        Dictionary(
            uniqueKeysWithValues: lab.machines.compactMap { machine in
                lab.desktops.lazy.compactMap { lab.emulator(of: machine.name, on: $0.number) }.first
                    .map { (machine.name, $0) }
            })
    }

    func judge(
        _ left: [String: Int32], before: [String: Int32], _ subject: FaultCase, _ hit: Hit,
        into result: inout FaultResult
    ) {
        let old = left.filter { before[$0.key] == $0.value }.keys.sorted()
        let new = left.filter { before[$0.key] != $0.value }.keys.sorted()
        let missing = lab.machines.map(\.name).filter { left[$0] == nil && !hit.dead.contains($0) }
        switch subject.job {
        case .snapshot:
            if !new.isEmpty { result.shortcomings.append("\(new) were started anew.") }
            if !missing.isEmpty { result.shortcomings.append("\(missing) died.") }
        case .restore:
            if !old.isEmpty && !new.isEmpty {
                result.shortcomings.append("\(old) run from the old timeline, \(new) from the new one.")
            }
            // The one way to a part of the new timeline that the protocol states: a host that misses the last word. In
            // `starting` its own last word may have been on the way already; then the manager says that all is restored.
            let hitOnes = lab.machines.filter { $0.desktop == FaultInjector.desktop }.map(\.name)
            let mayMissIt = hit.job.succeeded && Set(missing).isSubset(of: hitOnes)
            let lastWord = ["finishing", "finished"] + (mayMissIt ? ["starting"] : [])
            if !new.isEmpty && !missing.isEmpty && !lastWord.contains(result.landed) {
                result.shortcomings.append("Only \(new) run from the new timeline; \(result.outcome)")
            }
            if hit.job.succeeded && new.isEmpty { result.shortcomings.append("Restored, but nothing runs.") }
        }
    }

    /// Those of the dead that the manager still takes for living.
    func unreported(_ dead: [String]) async throws -> [String] {
        struct Inventory: Decodable {
            struct Machine: Decodable {
                var name: String
                var state: String
            }
            var vms: [Machine]
        }
        let end = ContinuousClock.now + Self.limit
        while true {
            let said = try await holdfast(["vms", "--output", "json"])
            if said.succeeded {
                let inventory = try JSONDecoder().decode(Inventory.self, from: Data(said.standardOutput.utf8))
                let wrong = inventory.vms.filter { dead.contains($0.name) && $0.state != "off" }
                if wrong.isEmpty { return [] }
                if ContinuousClock.now >= end { return wrong.map { "\($0.name) is dead but shown as \($0.state)." } }
            } else if ContinuousClock.now >= end {
                return ["The VMs could not be listed: \(Self.said(said))"]
            }
            try await Task.sleep(for: .milliseconds(200))
        }
    }

    func longestSilence(since ends: [String: UInt64]) throws -> UInt64 {
        try lab.machines.flatMap { machine in
            try lab.witnessReports(of: machine.name, since: ends[machine.name] ?? 0).flatMap(\.connections)
                .map(\.silence)
        }.max() ?? 0
    }
}
