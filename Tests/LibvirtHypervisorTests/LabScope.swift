import DesktopLab
import Foundation
import HypervisorConformance
import Testing

/// One lab with one desktop and one guest for a whole suite.
struct LabScope: SuiteTrait, TestScoping {
    @TaskLocal static var lab: Lab?

    /// Once, around the suite and not around each test.
    var isRecursive: Bool { false }

    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        let lab = try await Lab.up(
            LabConfiguration(
                desktops: 1, machines: 1, directory: "/tmp/hf-virt-\(UUID().uuidString.prefix(8))",
                guestOptions: ["hf.report=50", "hf.disk=20"], startsProducts: false, rooms: LabRooms(),
                hypervisor: .libvirt))
        let result: Result<Void, any Error>
        do {
            result = .success(try await Self.$lab.withValue(lab) { try await function() })
        } catch {
            result = .failure(error)
        }
        try await lab.down()
        print(ConformanceTable.shared.text)
        try result.get()
    }
}
