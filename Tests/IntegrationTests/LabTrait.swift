import DesktopLab
import Foundation
import Testing

/// Gives all tests of a suite one desktop cloud with real guests, made before the first and taken down after the last.
struct LabTrait: SuiteTrait, TestScoping {
    let configuration: LabConfiguration

    var isRecursive: Bool { false }

    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        // What a run that was killed has left goes first.
        try await Lab.down(configuration.directory)
        let lab = try await Lab.up(configuration) { print("lab: \($0)") }
        let exercise = ClusterExercise(lab: lab, cluster: "web")
        do {
            if configuration.startsProducts { try await exercise.createCluster() }
            try await CurrentLab.$exercise.withValue(exercise) { try await function() }
        } catch {
            try await lab.down()
            throw error
        }
        try await lab.down()
    }
}

enum CurrentLab {
    @TaskLocal static var exercise: ClusterExercise?

    static func required() throws -> ClusterExercise { try #require(exercise) }
}

extension SuiteTrait where Self == LabTrait {
    static func lab(_ configuration: LabConfiguration) -> LabTrait { LabTrait(configuration: configuration) }

    /// - Parameter directory: of the lab; suites must not share one.
    /// - Parameter hypervisor: unless `make integration HYPERVISOR=...` says otherwise.
    static func lab(
        desktops: Int = 3, machines: Int = 4, directory: String, hypervisor: LabHypervisor
    ) -> LabTrait {
        LabTrait(
            configuration: LabConfiguration(
                desktops: desktops, machines: machines, directory: directory, hypervisor: chosen ?? hypervisor))
    }
}

/// Namespaces, packet queues, taps and libvirtd need root.
let isRoot = getuid() == 0

/// What runs the guests, as in `make integration HYPERVISOR=qemu`; nil: each suite's own choice.
let chosen = ProcessInfo.processInfo.environment["HYPERVISOR"].flatMap(LabHypervisor.init(rawValue:))

/// How often the rounds go, as in `make integration ROUNDS=20`.
let roundCount = ProcessInfo.processInfo.environment["ROUNDS"].flatMap { Int($0) } ?? 2
