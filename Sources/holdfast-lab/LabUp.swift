import ArgumentParser
import DesktopLab
import Foundation

struct LabUp: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "up", abstract: "Make a lab and wait until all of its machines talk to each other.")

    @Option(help: "Number of desktops.")
    var desktops = 3

    @Option(help: "Number of machines; they are dealt out to the desktops in turn.")
    var vms = 4

    @Option(help: "MiB of memory of each machine.")
    var memory = 128

    @Option(help: "Bytes a second in each direction of each bulk connection between machines.")
    var rate = 131_072

    @Flag(inversion: .prefixedNo, help: "Start a manager, and an agent on each desktop.")
    var agents = true

    @Flag(name: .customLong("ipv6"), inversion: .prefixedNo, help: "Let half of the pairs talk IPv6.")
    var mixesFamilies = true

    @Option(name: .customLong("guest-option"), help: "A word for the guests' kernel command line, such as hf.ping=5.")
    var guestOptions: [String] = []

    @Option(help: "Folder of holdfast, holdfast-agent and holdfast-manager; the one of this program by default.")
    var executables: String?

    @OptionGroup var guests: LabGuestOptions

    @OptionGroup var folder: LabFolderOptions

    func run() async throws {
        let start = ContinuousClock.now
        let lab = try await Lab.up(
            guests.apply(
                to: LabConfiguration(
                    desktops: desktops, machines: vms, memory: memory, directory: folder.path, rate: rate,
                    mixesFamilies: mixesFamilies, guestOptions: guestOptions, startsProducts: agents,
                    executables: executables))
        ) { step in
            FileHandle.standardError.write(Data("\(step)\n".utf8))
        }
        let seconds = (ContinuousClock.now - start).components.seconds
        print("\(lab.desktops.count) desktops, \(lab.machines.count) machines, up after \(seconds) s")
        if agents { print("try: holdfast-lab exec --dir \(folder.path) -- holdfast agents") }
    }
}
