// What keeps a participant from believing a plan, whoever made it. Plans come over the network, and names in them come
// from desktops, people and stored manifests.

extension SnapshotPlan {
    /// Longest hold and longest wait for markers that are not absurd, in milliseconds.
    package static let longestWait: UInt64 = 3_600_000

    /// One sentence; nil when the plan can be used without further thought.
    package var flaw: String? {
        if Set(members.map(\.name)).count != members.count { return "The plan names a member twice." }
        if holdBudget > Self.longestWait { return "The plan would hold traffic for \(holdBudget) milliseconds." }
        if colourBudget > Self.longestWait {
            return "The plan would keep gates armed for \(colourBudget) milliseconds."
        }
        if flushBound > Self.longestWait { return "The plan would wait for markers for \(flushBound) milliseconds." }
        return nil
    }
}

extension RestorePlan {
    /// One sentence; nil when the plan can be used without further thought: the names in it that become names of files
    /// and folders cannot lead anywhere else.
    package var flaw: String? {
        if Set(members.map(\.name)).count != members.count { return "The plan names a member twice." }
        guard Self.isPlain(snapshot) else { return "\(snapshot.debugDescription) is no name of a snapshot." }
        for member in members {
            guard Self.isPlain(member.machine) else {
                return "\(member.machine.debugDescription) is no UUID of a VM."
            }
            let targets = member.parts.compactMap(\.diskTarget)
            if let target = targets.first(where: { !Self.isPlain($0) }) {
                return "\(target.debugDescription) is no name of a disk."
            }
            if Set(targets).count != targets.count { return "The plan names a disk of \(member.name) twice." }
            let files = member.parts.compactMap(\.fileName)
            if let file = files.first(where: { !Self.isPlain($0) }) {
                return "\(file.debugDescription) is no name of a file of a VM."
            }
            if Set(files).count != files.count { return "The plan names a file of \(member.name) twice." }
        }
        return nil
    }

    /// Fit for the name of a file or folder, alone or as the beginning of one.
    private static func isPlain(_ name: String) -> Bool {
        (1...128).contains(name.utf8.count) && name.utf8.first != UInt8(ascii: ".")
            && !name.utf8.contains { $0 == UInt8(ascii: "/") || $0 < 0x20 }
    }
}

extension StoredPart {
    private static let diskPrefix = "disk:"
    private static let filePrefix = "file:"

    /// The target's name, when the part is a disk.
    package var diskTarget: String? {
        kind.hasPrefix(Self.diskPrefix) ? String(kind.dropFirst(Self.diskPrefix.count)) : nil
    }

    /// The name of a further file of the VM, such as `nvram`, when the part is one.
    package var fileName: String? {
        kind.hasPrefix(Self.filePrefix) ? String(kind.dropFirst(Self.filePrefix.count)) : nil
    }
}
