import ArgumentParser
import HostAgent

/// The agent calls itself so, with descriptors that nobody else has.
struct KeepImage: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: DesktopServices.keeperCommand,
        abstract: "Read an image on if the agent that started this is killed.", shouldDisplay: false)

    func run() { DesktopServices.keepImage() }
}
