import FoundationEssentials

/// The processor of this host, for guests that were given it as it is: what such a guest has found out about it at its
/// start it uses as long as it runs, and on another model it may crash.
package enum HostProcessor {
    /// Key in the requirements of such a guest, and in what a host offers.
    package static let key = "processor"

    /// As in `GenuineIntel-6-158`: vendor, family and model. Nil when the kernel does not tell.
    package static let identity = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)).flatMap(identity(in:))

    /// Of the first processor in a text like that of `/proc/cpuinfo`.
    static func identity(in text: String) -> String? {
        var fields: [Substring: String] = [:]
        for line in text.split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 1)
            guard parts.count == 2 else { continue }
            let key = parts[0].prefix { $0 != "\t" }
            let value = parts[1].filter { $0 != " " && $0 != "," && $0 != "\t" }
            fields[key] = fields[key] ?? value
        }
        for names in [["vendor_id", "cpu family", "model"], ["CPU implementer", "CPU part"]] {
            let values = names.compactMap { fields[Substring($0)] }.filter { !$0.isEmpty }
            if values.count == names.count { return values.joined(separator: "-") }
        }
        return nil
    }
}
