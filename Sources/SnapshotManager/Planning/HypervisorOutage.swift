/// A hypervisor of a host that is out of order, so that its VMs are not among those that the host shows.
package struct HypervisorOutage: Hashable, Sendable {
    /// As in `virtualbox`.
    package var driver: String
    /// Sentences.
    package var text: String
    /// Whether it gives no answer at all: then nobody knows what it runs.
    package var isSilent: Bool

    package init(driver: String, text: String, isSilent: Bool) {
        self.driver = driver
        self.text = text
        self.isSilent = isSilent
    }

    /// Those that an agent has told of, in the order of the drivers.
    package static func all(in offers: [String: String]) -> [HypervisorOutage] {
        offers.sorted { $0.key < $1.key }.compactMap { key, text in
            for (ending, isSilent) in [(".fault", false), (".silence", true)] where key.hasSuffix(ending) {
                return HypervisorOutage(driver: String(key.dropLast(ending.count)), text: text, isSilent: isSilent)
            }
            return nil
        }
    }
}
