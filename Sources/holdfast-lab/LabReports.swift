import ArgumentParser
import DesktopLab
import Foundation

struct LabReports: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reports", abstract: "Show what the witness of each machine said last.")

    @Option(help: "Form of the answer: \(OutputFormat.allCases.map(\.rawValue).joined(separator: " or ")).")
    var output = OutputFormat.table

    @OptionGroup var folder: LabFolderOptions

    func run() async throws {
        let lab = try Lab.open(folder.path)
        let reports = lab.latestReports()
        switch output {
        case .json:
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
            print(String(decoding: try encoder.encode(reports), as: UTF8.self))
        case .table:
            for machine in lab.machines {
                guard let report = reports[machine.name] else {
                    print("\(machine.name)  has not reported")
                    continue
                }
                print(
                    "\(machine.name)  up \(report.uptime) ms, restores \(report.restores), disk record"
                        + " \(report.diskSequence), disk mismatches \(report.diskMismatches)")
                for connection in report.connections {
                    print(
                        "    \(connection.kind) with vm-\(connection.peer): \(connection.state), sent"
                            + " \(connection.sent), received \(connection.received), mismatches"
                            + " \(connection.mismatches), silence \(connection.silence) ms, longest"
                            + " \(connection.longestSilence) ms, heard \(connection.heardAfter) ms after the last restore"
                    )
                }
            }
        }
    }
}
