import ArgumentParser
import SimulatedCluster

struct SimulateRun: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Run many schedules; end with 1 if one breaks a promise.")

    @Option(help: "Number of schedules.")
    var schedules: UInt64 = 10_000

    @Option(help: "Seed of the first schedule; the others follow it.")
    var seed: UInt64 = 1

    @Option(help: ArgumentHelp("A defect to switch on.", visibility: .hidden))
    var mutant: Mutant?

    func run() throws {
        print("seeds from \(seed)")
        let clock = ContinuousClock()
        let start = clock.now
        var sealed = 0
        var coloured = 0
        var fellBack = 0
        var restored = 0
        var faulty = 0
        var broken: [UInt64] = []
        for offset in 0..<schedules {
            let result = Simulation.run(seed: seed &+ offset, mutant: mutant)
            if result.sealed { sealed += 1 }
            if result.coloured { coloured += 1 }
            if result.fellBack { fellBack += 1 }
            if result.restored { restored += 1 }
            if result.faults > 0 { faulty += 1 }
            guard let violation = result.violations.first else { continue }
            broken.append(seed &+ offset)
            if broken.count <= 10 { print("seed \(seed &+ offset): \(violation)") }
        }
        let seconds = (clock.now - start) / .seconds(1)
        if let first = broken.first {
            print("The shortest history found from seed \(first):")
            for line in Simulation.shrunkTrace(seed: first, mutant: mutant) { print("  \(line)") }
        }
        print(
            "\(schedules) schedules, \(faulty) with faults, \(sealed) sealed "
                + "(\(coloured) in colour mode, \(fellBack) after falling back), \(restored) restored, \(broken.count) violations, "
                + "\(Int(Double(schedules) / max(seconds, 0.000_001))) per second")
        if !broken.isEmpty { throw ExitCode(1) }
    }
}
