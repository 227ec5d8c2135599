import Foundation

/// Takes a command line of QEMU apart.
struct GuestCommandLine: Sendable {
    /// Those of the guest, in their order, each understood.
    var options: [GuestOption] = []
    /// What cannot be carried over, in words for people.
    var refusals: [String] = []
    var name: String?
    var uuid: String?

    init(_ arguments: [String]) {
        var rest = arguments.dropFirst()
        var monitors: Set<String> = []
        while let word = rest.popFirst() {
            guard word.hasPrefix("-"), word.count > 1 else {
                refusals.append("the disk \(word) without -drive")
                continue
            }
            let spelled = String(word.drop { $0 == "-" })
            let name = OptionRules.aliases[spelled] ?? spelled
            switch OptionRules.rules[name] {
            case nil:
                refusals.append("the option -\(spelled)")
                // Whether it has a value is not known; what does not look like an option is one.
                if rest.first?.hasPrefix("-") == false { rest.removeFirst() }
            case .flag: options.append(GuestOption(name))
            case .own(let hasValue):
                let value = hasValue ? rest.popFirst() : nil
                if name == "mon", let value { monitors.insert(Self.values(value)[named: "chardev"] ?? "") }
                own(name, value)
            case .plain:
                guard let value = rest.popFirst() else { continue }
                add(GuestOption(name, [.init("", value)]))
            default:
                guard let value = rest.popFirst() else { continue }
                add(GuestOption(name, Self.values(value)))
            }
        }
        options.removeAll { $0.name == "chardev" && monitors.contains($0["id"] ?? "") }
    }

    private mutating func own(_ name: String, _ value: String?) {
        switch name {
        case "uuid": uuid = value?.lowercased()
        case "name":
            let values = Self.values(value ?? "")
            self.name = values[named: "guest"] ?? values[named: ""]
        case "nographic":
            if !options.contains(where: { $0.name == "serial" }) {
                options.append(GuestOption("serial", [.init("", "null")]))
            }
        default: break
        }
    }

    private mutating func add(_ option: GuestOption) {
        if let refusal = OptionRules.refusal(of: option) {
            refusals.append(refusal)
        } else {
            options.append(option)
        }
    }

    /// Keys and values; a comma within a value is doubled, and JSON stands for the same.
    static func values(_ text: String) -> [GuestOption.Value] {
        if text.hasPrefix("{"), let values = json(text) { return values }
        var parts: [String] = [""]
        var characters = Array(text)[...]
        while let character = characters.popFirst() {
            if character != "," {
                parts[parts.count - 1].append(character)
            } else if characters.first == "," {
                characters.removeFirst()
                parts[parts.count - 1].append(",")
            } else {
                parts.append("")
            }
        }
        return parts.enumerated().map { index, part in
            guard let sign = part.firstIndex(of: "=") else {
                return index == 0 ? .init("", part) : .init(part, "on")
            }
            return .init(String(part[..<sign]), String(part[part.index(after: sign)...]))
        }
    }

    private static func json(_ text: String) -> [GuestOption.Value]? {
        guard let object = try? JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any] else {
            return nil
        }
        var values: [GuestOption.Value] = []
        func add(_ key: String, _ value: Any) {
            switch value {
            case let inner as [String: Any]:
                for (name, value) in inner.sorted(by: { $0.key < $1.key }) { add("\(key).\(name)", value) }
            case is NSNull: values.append(.init(key, ""))
            case let text as String: values.append(.init(key, text))
            case let number as NSNumber where isBoolean(number):
                values.append(.init(key, number.boolValue ? "on" : "off"))
            default: values.append(.init(key, "\(value)"))
            }
        }
        for (key, value) in object.sorted(by: { $0.key < $1.key }) { add(key, value) }
        return values
    }

    private static func isBoolean(_ number: NSNumber) -> Bool {
        String(cString: number.objCType) == "c" || String(cString: number.objCType) == "B"
    }
}

extension [GuestOption.Value] {
    subscript(named key: String) -> String? { first { $0.key == key }?.value }
}
