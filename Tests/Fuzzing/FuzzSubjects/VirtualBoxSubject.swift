import Hypervisor

@testable import VirtualBoxHypervisor

/// What VBoxManage, `ip` and a VM's log say.
enum VirtualBoxSubject {
    static func run(_ bytes: [UInt8]) throws {
        let text = String(decoding: bytes, as: UTF8.self)
        try entries(of: text)
        _ = PauseCause(log: text)
        for place in TapPlace.all(in: text) {
            try Broken.unless(place.key == place.value.tap, "A tap is found under another's name.")
        }
        for status: Int32 in [1, 2] {
            let failure = ManageFailure(status: status, standardError: text)
            try Broken.unless(!failure.error(doing: "look").text.isEmpty, "A failure says nothing.")
        }
    }

    private static func entries(of text: String) throws {
        let read = MachineReadable(text)
        var seen: Set<String> = []
        for entry in read.entries where seen.insert(entry.key).inserted {
            try Broken.unless(read[entry.key] == entry.value, "The first one of \(entry.key) does not count.")
        }
        if let snapshot = read.uuid(ofSnapshot: "holdfast-cut") {
            try Broken.unless(MachineInfo.isUUID(snapshot), "\(snapshot) is no UUID of a snapshot.")
        }
        guard let info = MachineInfo(read) else { return }
        try Broken.unless(
            MachineInfo.isUUID(info.uuid) && info.uuid == info.uuid.lowercased(), "\(info.uuid) is no UUID of a VM.")
        _ = info.state
        _ = info.isBusy
        try Broken.unless(info.media.allSatisfy { $0.path.hasPrefix("/") }, "A disk is no file.")
        let numbers = info.adapters.map(\.number)
        try Broken.unless(Set(numbers).count == numbers.count, "Two NICs have one number.")
        try Broken.unless(info.adapters.allSatisfy { !$0.attachment.isEmpty || $0.peer == nil }, "A NIC is on nothing.")
    }
}
