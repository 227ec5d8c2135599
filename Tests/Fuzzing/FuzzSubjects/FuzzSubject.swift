/// Everything that accepts bytes from outside. Each is run on corpora by the tests, and by libFuzzer on what it makes
/// of them.
package enum FuzzSubject: String, CaseIterable, Sendable {
    /// Frames and packets of guests, and markers.
    case packets
    /// Channel logs.
    case capture
    /// What `iptables-save` prints.
    case chains
    /// YAML of agents and managers.
    case configuration
    /// Signing requests, certificates, the answer to a token, and names in them.
    case enrollment
    /// The files that outlive a killed agent.
    case journal
    /// What the kernel says of interfaces, bridges and the packet filter.
    case netlink
    /// A manager's messages, one after the other, to the machines of an agent.
    case orders
    /// What a restore is planned from.
    case placement
    /// Agents' messages, one after the other, to the machines of a manager.
    case reports
    /// Snapshots as they lie in a repository.
    case store
    /// QEMU's answers.
    case monitor
    /// libvirt's descriptions of domains, also stored ones.
    case domain
    /// Settings of VMs under VirtualBox, also stored ones.
    case settings
    /// What VBoxManage says.
    case virtualbox
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
        case .chains: try ChainsSubject.run(bytes)
        case .configuration: try ConfigurationSubject.run(bytes)
        case .enrollment: try EnrollmentSubject.run(bytes)
        case .journal: try JournalSubject.run(bytes)
        case .netlink: try NetlinkSubject.run(bytes)
        case .orders: try OrdersSubject.run(bytes)
        case .placement: try PlacementSubject.run(bytes)
        case .reports: try ReportsSubject.run(bytes)
        case .store: try StoreSubject.run(bytes)
        case .monitor: try MonitorSubject.run(bytes)
        case .domain: try DomainSubject.run(bytes)
        case .settings: try SettingsSubject.run(bytes)
        case .virtualbox: try VirtualBoxSubject.run(bytes)
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
