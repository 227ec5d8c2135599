import ArgumentParser
import HostAgent

@main
struct HoldfastAgent: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "holdfast-agent", abstract: "The host agent of Holdfast: one on each desktop.",
        version: HostAgent.version, subcommands: [Run.self, Enroll.self, Doctor.self, Start.self, KeepImage.self])
}
