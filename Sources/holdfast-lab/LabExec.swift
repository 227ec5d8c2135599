import ArgumentParser
import DesktopLab
import Foundation

struct LabExec: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "exec",
        abstract: "Run a command in the network of the manager or of a desktop.",
        discussion:
            "The command finds the lab's manager by its environment, so that `holdfast agents` needs no options.")

    @Option(help: "Number of the desktop, from 1, or `manager`.")
    var desktop = "manager"

    @OptionGroup var folder: LabFolderOptions

    @Argument(parsing: .captureForPassthrough, help: "The command and its arguments.")
    var command: [String]

    func run() async throws {
        let lab = try Lab.open(folder.path)
        let place: Lab.Place
        if desktop == "manager" {
            place = .manager
        } else if let number = Int(desktop), lab.desktops.contains(where: { $0.number == number }) {
            place = .desktop(number)
        } else {
            throw ValidationError("there is no desktop \(desktop) in this lab")
        }
        let words = command.first == "--" ? Array(command.dropFirst()) : command
        guard !words.isEmpty else { throw ValidationError("no command given") }
        for (name, value) in lab.clientEnvironment { setenv(name, value, 1) }
        // The products lie where this program does.
        let program = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        let beside = URL(filePath: program).deletingLastPathComponent().path
        setenv("PATH", "\(beside):\(ProcessInfo.processInfo.environment["PATH"] ?? "/usr/sbin:/usr/bin")", 1)
        let arguments = lab.command(words, in: place)
        var pointers: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
        execvp(arguments[0], &pointers)
        throw LabError.commandFailed(
            arguments.joined(separator: " "), status: String(cString: strerror(errno)), detail: "")
    }
}
