import Foundation

/// `createmedium` and `clonemedium`.
struct Media {
    let home: Home

    func create(_ options: Options) throws {
        guard let path = options["filename"], let size = options["size"] else {
            throw Refusal("Parameters --filename and --size are required", code: .syntax)
        }
        try GuestDisks.tool(["create", "-q", "-f", "qcow2", path, "\(size)M"])
        print("Medium created. UUID: \(UUID().uuidString.lowercased())")
    }

    /// The source by path or UUID. Writes the format that is asked for: a copy is for others to read.
    func clone(_ options: Options) throws {
        let source = try options.word(1, "source medium")
        let target = try options.word(2, "target medium")
        var path = source
        for (uuid, file) in home.registry() {
            guard let machine = try? Machine(uuid: uuid, file: file, home: home) else { continue }
            if let medium = machine.model.medium(source.lowercased()) { path = machine.path(medium.location) }
        }
        let format = (options["format"] ?? "VDI").lowercased()
        print("0%...10%...20%...30%...40%...50%...60%...70%...80%...90%...", terminator: "")
        try GuestDisks.tool(["convert", "-q", "-U", "-f", "qcow2", "-O", format, path, target])
        print("100%\nClone medium created in format '\(format.uppercased())'.")
    }
}
