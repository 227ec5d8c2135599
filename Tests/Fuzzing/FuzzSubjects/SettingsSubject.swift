import Hypervisor

@testable import VirtualBoxHypervisor

/// Settings of VMs under VirtualBox, also stored ones.
enum SettingsSubject {
    static func run(_ bytes: [UInt8]) throws {
        guard let settings = try? MachineSettings(String(decoding: bytes, as: UTF8.self)) else { return }
        try names(in: settings)
        guard let again = try? MachineSettings(settings.xml) else {
            throw Broken(description: "What it writes it refuses.")
        }
        try Broken.unless(same(again, settings), "It is written otherwise than read.")
        for snapshot in settings.media.keys {
            try Broken.unless(
                again.stateFile(ofSnapshot: snapshot) == settings.stateFile(ofSnapshot: snapshot),
                "A saved state is elsewhere.")
        }
        try forget(again, settings)
    }

    private static func same(_ one: MachineSettings, _ other: MachineSettings) -> Bool {
        one.uuid == other.uuid && one.name == other.name && one.attachments == other.attachments
            && one.media == other.media && one.blockers == other.blockers
    }

    /// A disk's target is a part of file names.
    private static func names(in settings: MachineSettings) throws {
        for attachment in settings.attachments {
            let isPlain = attachment.target.utf8.allSatisfy { octet in
                switch octet {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
                    true
                default: false
                }
            }
            try Broken.unless(isPlain, "A target is no part of a file's name: \(attachment.target)")
        }
        if let uuid = settings.uuid { try Broken.unless(MachineInfo.isUUID(uuid), "\(uuid) is no UUID.") }
    }

    /// Nothing of the former desktop is left, and all else is.
    private static func forget(_ settings: MachineSettings, _ former: MachineSettings) throws {
        settings.forget()
        guard let again = try? MachineSettings(settings.xml) else {
            throw Broken(description: "What is left of it is refused.")
        }
        try Broken.unless(again.uuid == former.uuid && again.name == former.name, "It is another VM.")
        try Broken.unless(again.blockers == former.blockers, "A device came or went.")
        try Broken.unless(again.media.isEmpty, "A disk is left.")
        let others = former.attachments.filter { $0.type != "HardDisk" }
        try Broken.unless(again.attachments == others, "A drive came or went.")
        for snapshot in former.media.keys {
            try Broken.unless(again.stateFile(ofSnapshot: snapshot) == nil, "A saved state is left.")
        }
    }
}
