/// One option of QEMU's command line, taken apart.
struct GuestOption: Codable, Hashable, Sendable {
    struct Value: Codable, Hashable, Sendable {
        /// Empty for what stands without one: the type of a device, the size of the memory.
        var key: String
        var value: String

        init(_ key: String, _ value: String) {
            self.key = key
            self.value = value
        }
    }

    /// Without its hyphen.
    var name: String
    var values: [Value]

    init(_ name: String, _ values: [Value] = []) {
        self.name = name
        self.values = values
    }

    /// The first value of that key.
    subscript(key: String) -> String? {
        get { values.first { $0.key == key }?.value }
        set {
            let place = values.firstIndex { $0.key == key }
            values.removeAll { $0.key == key }
            if let newValue { values.insert(Value(key, newValue), at: min(place ?? values.count, values.count)) }
        }
    }

    /// What the option is about: the driver of a device or a block node, the kind of a netdev.
    var kind: String { self[""] ?? self["driver"] ?? self["type"] ?? "" }

    /// As QEMU reads it: commas within values doubled.
    var arguments: [String] {
        guard !values.isEmpty else { return ["-\(name)"] }
        let plain = values.count == 1 && values[0].key.isEmpty && OptionRules.isPlain(name)
        let text =
            plain
            ? values[0].value
            : values.map { value in
                let escaped = value.value.replacing(",", with: ",,")
                return value.key.isEmpty ? escaped : "\(value.key)=\(escaped)"
            }.joined(separator: ",")
        return ["-\(name)", text]
    }
}
