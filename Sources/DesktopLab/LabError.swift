/// What keeps a lab from doing what was asked, with what to do about it.
package enum LabError: Error, Hashable, Sendable, CustomStringConvertible {
    case needsRoot
    case missingTool(String, package: String)
    case missingProduct(String)
    case alreadyUp(String)
    case notUp(String)
    case badConfiguration(String)
    case commandFailed(String, status: String, detail: String)
    case timedOut(String, detail: String)
    case unknownMachine(String)
    case unreadableState(String, reason: String)

    package var description: String {
        switch self {
        case .needsRoot: "the lab makes network namespaces and needs root: run it with sudo"
        case .missingTool(let tool, let package):
            "\(tool) is not installed: apt-get install \(package)"
        case .missingProduct(let path): "\(path) is not built: swift build, or use --no-agents"
        case .alreadyUp(let directory):
            "there is a lab in \(directory): holdfast-lab down --dir \(directory)"
        case .notUp(let directory): "there is no lab in \(directory): holdfast-lab up --dir \(directory)"
        case .badConfiguration(let reason): reason
        case .commandFailed(let command, let status, let detail):
            "\(command): \(status)\(detail.isEmpty ? "" : "\n\(detail)")"
        case .timedOut(let what, let detail): "\(what) took too long\(detail.isEmpty ? "" : "\n\(detail)")"
        case .unknownMachine(let name): "the lab has no machine \(name)"
        case .unreadableState(let path, let reason): "cannot read \(path): \(reason)"
        }
    }
}
