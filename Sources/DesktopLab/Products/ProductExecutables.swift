import Foundation

/// Where `holdfast`, `holdfast-agent` and `holdfast-manager` lie: beside the running program, where a build puts them.
struct ProductExecutables: Sendable {
    let folder: String

    init(_ configuration: LabConfiguration) {
        if let folder = configuration.executables ?? ProcessInfo.processInfo.environment["HOLDFAST_EXECUTABLES"] {
            self.folder = folder
            return
        }
        let program = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        let beside = URL(filePath: program).deletingLastPathComponent().path
        if FileManager.default.isExecutableFile(atPath: "\(beside)/holdfast-manager") {
            folder = beside
            return
        }
        // Under a test runner, the running program is the tool chain's.
        var root = URL(filePath: #filePath)
        for _ in 0..<4 { root = root.deletingLastPathComponent() }
        folder = root.appending(path: ".build/debug").path
    }

    func path(of name: String) throws -> String {
        let path = "\(folder)/\(name)"
        guard FileManager.default.isExecutableFile(atPath: path) else { throw LabError.missingProduct(path) }
        return path
    }
}
