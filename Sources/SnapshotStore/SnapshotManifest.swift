package import SnapshotProtocol

/// What makes the files of a snapshot a snapshot: what they are, where they come from, and why they can be trusted.
package struct SnapshotManifest: Hashable, Sendable, Codable {
    /// Name of the snapshot in the repository.
    package var id: String
    package var cluster: String
    package var epoch: Epoch
    package var mode: SnapshotMode
    /// Nanoseconds since 1970, on the manager's clock.
    package var createdAt: UInt64
    package var members: [MemberEvidence]
    /// From the first member's cut to the last one's, in nanoseconds, by their hosts' clocks.
    package var skew: UInt64
    package var verdict: Verdict

    /// Skew and verdict follow from the evidence.
    package init(
        id: String, cluster: String, epoch: Epoch, mode: SnapshotMode, createdAt: UInt64, members: [MemberEvidence]
    ) {
        self.id = id
        self.cluster = cluster
        self.epoch = epoch
        self.mode = mode
        self.createdAt = createdAt
        self.members = members
        self.skew = Self.skew(of: members)
        self.verdict = Verdict.judge(members, mode: mode)
    }

    /// Bytes of all parts.
    package var size: UInt64 {
        var sum: UInt64 = 0
        for part in members.lazy.flatMap(\.stored.parts) {
            let (next, overflow) = sum.addingReportingOverflow(part.size)
            sum = overflow ? .max : next
        }
        return sum
    }

    static func skew(of members: [MemberEvidence]) -> UInt64 {
        let starts = members.map(\.cut.cutStartedAt)
        guard let first = starts.min(), let last = starts.max() else { return 0 }
        return last - first
    }

    /// What keeps a reader from believing this manifest, whoever wrote it; nil when its form is sound.
    ///
    /// Whatever passes can be used for paths and sums without further thought.
    var flaw: (member: MemberName?, why: String)? {
        var names: Set<MemberName> = []
        var paths: Set<String> = []
        var total: UInt64 = 0
        guard members.count <= 4096 else { return (nil, "It names more than 4096 members.") }
        for member in members {
            let name = member.member.name
            let folder: String
            do throws(StoreError) {
                folder = try EntryName.folder(of: name)
            } catch {
                return (name, "The member's name cannot be one.")
            }
            guard names.insert(name).inserted else { return (name, "The member is named twice.") }
            guard member.stored.parts.count <= 4096 else { return (name, "More than 4096 parts are named.") }
            for part in member.stored.parts {
                guard let (place, _) = EntryName.split(part.path), place == folder else {
                    return (name, "The path \(part.path.debugDescription) is not within the member's folder.")
                }
                guard paths.insert(part.path).inserted else { return (name, "\(part.path) is named twice.") }
                guard SHA256Hex.isValid(part.sha256) else { return (name, "\(part.path) has no SHA-256.") }
                let (sum, overflow) = total.addingReportingOverflow(part.size)
                guard !overflow, sum <= UInt64(Int64.max) else { return (name, "The sizes of the parts are absurd.") }
                total = sum
            }
        }
        return nil
    }

    /// What a member must have to be restored and has not, in the words of the kinds of parts.
    func missingKinds() -> [(member: MemberName, kind: String)] {
        members.flatMap { member in
            let kinds = Set(member.stored.parts.map(\.kind))
            var needed = ["memory", "domain"]
            if member.gate.logged > 0 { needed.append("channel-log") }
            return needed.filter { !kinds.contains($0) }.map { (member.member.name, $0) }
        }
    }
}
