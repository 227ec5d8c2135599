/// One VM as its settings file says it.
struct MachineModel: Hashable {
    struct Adapter: Hashable {
        var slot: Int
        /// Twelve digits.
        var mac: String
        /// `virtio`, `82540EM`, …
        var type: String
        /// `bridged`, `nat`, `intnet`, `hostonly`, `natnetwork`.
        var attachment: String
        var peer: String
    }

    struct Port: Hashable {
        var slot: Int
        var path: String
    }

    struct Attachment: Hashable {
        var port: Int
        var device: Int
        var medium: String
    }

    struct Controller: Hashable {
        var name: String
        /// As in the settings: `VirtioSCSI`, `AHCI`, …
        var type: String
        var attachments: [Attachment] = []
    }

    struct Medium: Hashable {
        var uuid: String
        var location: String
        var format: String
        var type: String?
        var parent: String?
    }

    /// The newest is last; each is based on the one before it.
    struct Snapshot: Hashable {
        var uuid: String
        var name: String
        var description: String
        var time: String
        var stateFile: String?
        var controllers: [Controller]
    }

    var uuid: String
    var name: String
    var osType = "Linux26_64"
    var memory = 128
    var processors = 1
    var adapters: [Adapter] = []
    var ports: [Port] = []
    var controllers: [Controller] = []
    var media: [Medium] = []
    var snapshots: [Snapshot] = []
    var extraData: [String: String] = [:]
    var stateFile: String?

    func medium(_ uuid: String) -> Medium? { media.first { $0.uuid == uuid } }

    /// In the order in which the guest sees them.
    var attachments: [(controller: String, attachment: Attachment)] {
        controllers.flatMap { controller in controller.attachments.map { (controller.name, $0) } }
    }

    /// Puts one medium in the place of another, in the current state.
    mutating func replace(_ old: String, by new: String) {
        for index in controllers.indices {
            for place in controllers[index].attachments.indices
            where controllers[index].attachments[place].medium == old {
                controllers[index].attachments[place].medium = new
            }
        }
    }
}
