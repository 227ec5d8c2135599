/// Everything that accepts bytes from outside. Each is run on corpora by the tests, and by libFuzzer on what it makes
/// of them.
package enum FuzzSubject: String, CaseIterable, Sendable {
    /// Frames and packets of guests, and markers.
    case packets
    /// Channel logs.
    case capture
    /// QEMU's answers.
    case monitor
    /// libvirt's descriptions of domains, also stored ones.
    case domain
    /// Manifests in a repository.
    case manifest
    /// Messages between manager, agents and command line.
    case wire
    /// Enrolment tokens.
    case token
    /// Lines of guests' consoles.
    case witness

    /// Returns if the bytes are refused, or read and rightly written again. It may trap on nothing.
    package func run(_ bytes: [UInt8]) throws {
        switch self {
        case .packets: try PacketsSubject.run(bytes)
        case .capture: try CaptureSubject.run(bytes)
        case .monitor: try MonitorSubject.run(bytes)
        case .domain: try DomainSubject.run(bytes)
        case .manifest: try ManifestSubject.run(bytes)
        case .wire: try WireSubject.run(bytes)
        case .token: try TokenSubject.run(bytes)
        case .witness: try WitnessSubject.run(bytes)
        }
    }

    /// As libFuzzer wants it: a finding ends the process.
    package func runOrTrap(_ bytes: UnsafeRawBufferPointer) {
        do {
            try run([UInt8](bytes))
        } catch {
            fatalError("\(rawValue): \(error)")
        }
    }
}

/// What was read does not have a property that it must have.
struct Broken: Error, CustomStringConvertible {
    var description: String

    static func unless(_ holds: Bool, _ what: @autoclosure () -> String) throws {
        if !holds { throw Broken(description: what()) }
    }
}
