import Foundation

/// The wall clock as the agent of one desktop sees it. The monotonic clocks, by which all waiting is done, stay true, as
/// they do when a real clock is stepped.
package struct DesktopClock: Sendable {
    private let library: String
    private let file: String

    /// Nil where the desktop sees the machine's clock.
    package init?(_ configuration: LabConfiguration, desktop: Int) {
        guard let library = configuration.clockLibrary, desktop == 1 else { return nil }
        self.library = library
        file = LabFolders(root: configuration.directory).clock(desktop)
    }

    /// From its next start on the agent sees this clock, which is right for now; and after `remove` the machine's again.
    /// Only for the time of need: what stands between a program and its clocks does so all the time.
    package func install() throws { try step(to: 0) }

    package func remove() { unlink(file) }

    package func step(to seconds: Int) throws {
        // In one piece: whoever reads it meanwhile must not find half a number.
        try "\(seconds < 0 ? "" : "+")\(seconds)\n".write(toFile: file, atomically: true, encoding: .utf8)
    }

    var environment: [String: String] {
        guard FileManager.default.fileExists(atPath: file) else { return [:] }
        return [
            "LD_PRELOAD": library, "FAKETIME_TIMESTAMP_FILE": file, "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1", "FAKETIME_DISABLE_SHM": "1",
            "NO_FAKE_STAT": "1",
        ]
    }
}
