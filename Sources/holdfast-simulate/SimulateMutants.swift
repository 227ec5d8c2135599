import ArgumentParser
import SimulatedCluster

struct SimulateMutants: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mutants", abstract: "Switch on each known defect; end with 1 if the checker misses one.")

    @Option(help: "Most schedules for each defect.")
    var schedules: UInt64 = 60_000

    @Option(help: "Seed of the first schedule.")
    var seed: UInt64 = 1

    func run() throws {
        var missed = 0
        for mutant in Mutant.allCases {
            var caught: (UInt64, Violation)?
            for offset in 0..<schedules where caught == nil {
                caught = Simulation.run(seed: seed &+ offset, mutant: mutant).violations.first
                    .map { (seed &+ offset, $0) }
            }
            if let (seed, violation) = caught {
                print("\(mutant.rawValue): caught by seed \(seed): \(violation)")
            } else {
                missed += 1
                print("\(mutant.rawValue): NOT CAUGHT in \(schedules) schedules")
            }
        }
        print("\(Mutant.allCases.count) mutants, \(missed) not caught")
        if missed > 0 { throw ExitCode(1) }
    }
}
