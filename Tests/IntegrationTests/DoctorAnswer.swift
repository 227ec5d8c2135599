import DesktopLab
import Foundation

/// What `doctor --output json` prints.
struct DoctorAnswer: Decodable {
    struct Subject: Decodable {
        var kind: String
        var host: String?
        var vm: String?
        var nic: String?
        var disk: String?
        var sender: String?
        var receiver: String?
    }

    struct Finding: Decodable, CustomStringConvertible {
        var check: String
        var level: String
        var subject: Subject
        var text: String
        var remedy: String?

        var description: String { "\(level) \(check) \(subject.host ?? "-") \(subject.vm ?? "-"): \(text)" }
    }

    struct Diagnosis: Decodable {
        var blockers: Int
        var warnings: Int
        var findings: [Finding]
    }

    var diagnosis: Diagnosis
    /// Of the program.
    var status: Int32 = 0

    private enum CodingKeys: String, CodingKey {
        case diagnosis
    }

    init(_ result: CommandResult) throws {
        guard result.status == 0 || result.status == 33 else {
            throw LabError.commandFailed(
                "doctor", status: "\(result.status)", detail: result.standardError + result.standardOutput)
        }
        self = try JSONDecoder().decode(DoctorAnswer.self, from: Data(result.standardOutput.utf8))
        status = result.status
    }

    var problems: [Finding] { diagnosis.findings.filter { $0.level != "ok" } }

    /// Level and check of each problem, such as `blocker queues`.
    var names: Set<String> { Set(problems.map { "\($0.level) \($0.check)" }) }

    /// Problems about one desktop or what is on it.
    func names(on host: String) -> Set<String> {
        Set(problems.filter { $0.subject.host == host }.map { "\($0.level) \($0.check)" })
    }
}
