import ArgumentParser
import DesktopLab
import Foundation

struct LabStatus: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Show the desktops, the daemons and the machines.")

    @Option(help: "Form of the answer: \(OutputFormat.allCases.map(\.rawValue).joined(separator: " or ")).")
    var output = OutputFormat.table

    @OptionGroup var folder: LabFolderOptions

    private struct Daemon: Encodable {
        var role: String
        var pid: Int32
        var running: Bool
    }

    private struct Machine: Encodable {
        var name: String
        var uuid: String
        var address: String
        /// State by desktop.
        var states: [String: String]
        var serialLog: String
    }

    private struct Answer: Encodable {
        var directory: String
        var accelerator: String
        var desktops: [Lab.Desktop]
        var daemons: [Daemon]
        var machines: [Machine]
    }

    func run() async throws {
        let lab = try Lab.open(folder.path)
        let states = try await lab.states()
        let answer = Answer(
            directory: folder.path, accelerator: lab.accelerator.rawValue, desktops: lab.desktops,
            daemons: try lab.processes().map {
                Daemon(role: $0.process.role, pid: $0.process.pid, running: $0.isRunning)
            },
            machines: lab.machines.map { machine in
                let known = (states[machine.name] ?? [:]).map { (lab.topology.hostName(ofDesktop: $0.key), $0.value) }
                return Machine(
                    name: machine.name, uuid: machine.uuid, address: machine.address,
                    states: Dictionary(uniqueKeysWithValues: known), serialLog: machine.serialLog)
            })
        switch output {
        case .json:
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            print(String(decoding: try encoder.encode(answer), as: UTF8.self))
        case .table:
            print("accelerator  \(answer.accelerator)")
            for daemon in answer.daemons {
                print("daemon       \(daemon.role)  pid \(daemon.pid)  \(daemon.running ? "running" : "ended")")
            }
            for machine in answer.machines {
                let places = machine.states.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }
                print("machine      \(machine.name)  \(machine.address)  \(places.joined(separator: ", "))")
            }
        }
    }
}
