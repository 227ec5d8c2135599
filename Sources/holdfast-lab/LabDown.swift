import ArgumentParser
import DesktopLab

struct LabDown: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "down", abstract: "End the lab and remove all of it, also after a crash.")

    @OptionGroup var folder: LabFolderOptions

    func run() async throws {
        try await Lab.down(folder.path)
    }
}
