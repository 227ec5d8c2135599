/// What runs the guests of a lab.
package enum LabHypervisor: String, Sendable, Codable, Hashable, CaseIterable {
    /// QEMU, started as anyone would start it.
    case qemu
    case libvirt
    case virtualbox
    /// Each machine by another, in turn.
    case mixed

    /// Those of a mixed lab, in their order.
    static let kinds: [LabHypervisor] = [.qemu, .libvirt, .virtualbox]

    func kind(ofMachine machine: Int) -> LabHypervisor {
        self == .mixed ? Self.kinds[(machine - 1) % Self.kinds.count] : self
    }

    /// Milliseconds for which a gate must be able to hold; nil: the manager's default. VirtualBox lets a guest stand still
    /// for as long as its memory is saved.
    var holdBudget: Int? { uses(.virtualbox) ? 20_000 : nil }

    /// Whether any machine is run by that kind.
    package func uses(_ kind: LabHypervisor) -> Bool { self == kind || self == .mixed && Self.kinds.contains(kind) }
}
