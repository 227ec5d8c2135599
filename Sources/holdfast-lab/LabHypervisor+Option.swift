import ArgumentParser
import DesktopLab

extension LabHypervisor: ExpressibleByArgument {
    static var choices: String {
        let names = allCases.map(\.rawValue)
        return names.dropLast().joined(separator: ", ") + " or " + (names.last ?? "")
    }
}
