import ArgumentParser
import DesktopLab
import Foundation

struct LabFolderOptions: ParsableArguments {
    @Option(name: .customLong("dir"), help: "Folder of the lab.")
    var directory = LabConfiguration.defaultDirectory

    /// Absolute, since the lab's identity is its folder.
    var path: String { URL(filePath: directory).standardizedFileURL.path }
}

enum OutputFormat: String, ExpressibleByArgument, CaseIterable {
    case table
    case json
}
