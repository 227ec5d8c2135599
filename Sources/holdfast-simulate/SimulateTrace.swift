import ArgumentParser
import SimulatedCluster

extension Mutant: ExpressibleByArgument {}

struct SimulateTrace: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "trace", abstract: "Print the history of one schedule.")

    @Option(help: "Seed of the schedule.")
    var seed: UInt64

    @Option(help: "A defect to switch on.")
    var mutant: Mutant?

    @Flag(help: "First shrink the schedule while it breaks the same promise.")
    var shrink = false

    func run() {
        let lines =
            shrink ? Simulation.shrunkTrace(seed: seed, mutant: mutant) : Simulation.trace(seed: seed, mutant: mutant)
        for line in lines { print(line) }
    }
}
