import Foundation
import Glibc

/// One call of VBoxManage.
struct Invocation {
    /// The grammar is that of 7.0; the build says what this is.
    static let version = "7.0.20_HoldfastStandInr0"
    static let oldVersion = "6.1.50_HoldfastStandInr0"
    static let banner = """
        Holdfast's stand-in for VBoxManage, with the command line of 7.0.20. This is not VirtualBox: the VMs are QEMU's.
        """

    let home: Home
    private let words: [String]
    private let faults: Set<Fault>

    init(home: Home, arguments: [String]) {
        self.home = home
        words = arguments.filter { $0 != "-q" && $0 != "--nologo" }
        faults = Fault.take(Self.verb(of: words), in: home)
    }

    private static func verb(of words: [String]) -> String {
        guard let first = words.first else { return "" }
        guard first == "controlvm" || first == "snapshot", words.count > 2 else { return first }
        return "\(first)-\(words[2])"
    }

    var isOld: Bool { faults.contains(.oldFormat) }

    func run() throws {
        for fault in faults { if case .slow(let milliseconds) = fault { usleep(UInt32(milliseconds) * 1_000) } }
        if faults.contains(.hang) { hang() }
        if faults.contains(.locked) {
            let name = (try? words.dropFirst().first.map(home.find))?.model.name ?? "?"
            throw Refusal(
                "The machine '\(name)' is already locked for a session (or being unlocked)", code: .invalidObjectState)
        }
        if faults.contains(.fail) { throw Refusal("The object is not ready", code: .failure) }
        try perform()
        if faults.contains(.hangAfter) { hang() }
    }

    private func hang() -> Never {
        while true { pause() }
    }

    private func perform() throws {
        guard let first = words.first else { return usage() }
        let options = Options(Array(words.dropFirst()))
        switch first {
        case "--version", "-v", "-V": print(isOld ? Self.oldVersion : Self.version)
        case "help", "--help": usage()
        case "list": try Listing(home: home).list(options)
        case "showvminfo": try Listing(home: home).show(options, isOld: isOld)
        case "createvm": try Making(home: home).create(options)
        case "modifyvm": try Making(home: home).modify(options)
        case "storagectl": try Making(home: home).controller(options)
        case "storageattach": try Making(home: home).attach(options)
        case "setextradata": try Making(home: home).extraData(options)
        case "registervm": try Making(home: home).register(options)
        case "unregistervm": try Making(home: home).unregister(options)
        case "createmedium": try Media(home: home).create(options)
        case "clonemedium": try Media(home: home).clone(options)
        case "closemedium": break
        case "startvm": try Control(home: home, faults: faults).start(options)
        case "controlvm": try Control(home: home, faults: faults).control(options)
        case "adoptstate": try Control(home: home, faults: faults).adopt(options)
        case "discardstate": try Control(home: home, faults: faults).discard(options)
        case "snapshot": try Snapshots(home: home, faults: faults).run(options, isOld: isOld)
        case "standin": try Control(home: home, faults: faults).desktop(options)
        default: throw Refusal("Invalid command '\(first)'", code: .syntax)
        }
    }

    private func usage() {
        print(Self.banner)
        print(
            """
            Commands: list, showvminfo, createvm, modifyvm, storagectl, storageattach, setextradata, registervm,
            unregistervm, createmedium, clonemedium, closemedium, startvm, controlvm, adoptstate, discardstate, snapshot.
            Of its own: standin sleep|wake <uuid>, which pauses a VM as the desktop's power management does.
            """)
    }
}

/// Words and options of a command, in their order.
struct Options {
    private(set) var plain: [String] = []
    private(set) var pairs: [(name: String, value: String)] = []

    private static let flags: Set<String> = [
        "machinereadable", "register", "delete", "details", "default", "live", "pause", "start-paused",
    ]

    init(_ words: [String]) {
        var index = 0
        while index < words.count {
            let word = words[index]
            index += 1
            guard word.hasPrefix("-"), word.count > 1 else {
                plain.append(word)
                continue
            }
            let name = String(word.drop { $0 == "-" })
            if Self.flags.contains(name) {
                pairs.append((name, ""))
            } else {
                pairs.append((name, index < words.count ? words[index] : ""))
                index += 1
            }
        }
    }

    subscript(_ names: String...) -> String? { pairs.first { names.contains($0.name) }?.value }

    func word(_ index: Int, _ what: String) throws -> String {
        guard index < plain.count else { throw Refusal("Missing \(what)", code: .syntax) }
        return plain[index]
    }
}
