import SnapshotProtocol

extension DirectoryRepository {
    /// Recomputes every hash, counts the channel logs and judges the evidence anew. Damage is found, named and gone
    /// past: the report has all of it.
    ///
    /// - Parameter progress: Called now and then with the bytes read so far and in all.
    /// - Throws: `invalidName`, `notFound`; `damaged` and `manifestVersion` for the manifest itself; `io`.
    package func verify(
        _ snapshot: String, progress: (_ done: UInt64, _ total: UInt64) -> Void = { _, _ in }
    ) throws(StoreError) -> VerificationReport {
        let manifest = try manifest(snapshot)
        guard let folder = try folder(of: snapshot, in: .snapshots) else { throw .notFound(snapshot: snapshot) }
        var report = VerificationReport(
            snapshot: snapshot, verdict: Verdict.judge(manifest.members, mode: manifest.mode))
        let total = manifest.size
        for member in manifest.members {
            let name = member.member.name
            var logged: UInt64 = 0
            var readable = true
            for part in member.stored.parts {
                report.parts += 1
                var log = part.kind == "channel-log" ? ChannelLogCounter() : nil
                do throws(StoreError) {
                    let reader = try PartReader(part, of: name, snapshot: snapshot, in: folder)
                    try reader.drain { piece throws(StoreError) in
                        log?.consume(piece)
                        report.bytes += UInt64(piece.count)
                        progress(report.bytes, total)
                    }
                    log?.finish()
                    if let flaw = log?.flaw {
                        report.add(name, part.path, "It is no capture file. \(flaw)")
                        readable = false
                    }
                    logged += log?.packets ?? 0
                } catch {
                    if log != nil { readable = false }
                    switch error {
                    case .damaged(_, _, _, let why): report.add(name, part.path, why)
                    default: report.add(name, part.path, error.description)
                    }
                }
            }
            if readable, logged != member.gate.logged {
                report.add(
                    name, nil, "Its channel log holds \(logged) segments, and \(member.gate.logged) were recorded.")
            }
        }
        for missing in manifest.missingKinds() {
            report.add(missing.member, nil, "There is no part of the kind \(missing.kind).")
        }
        if report.verdict != manifest.verdict {
            report.add(nil, nil, "The stored verdict is not what the stored evidence says.")
        }
        if SnapshotManifest.skew(of: manifest.members) != manifest.skew {
            report.add(nil, nil, "The stored skew is not what the stored evidence says.")
        }
        if !report.verdict.consistent {
            for reason in report.verdict.reasons { report.add(nil, nil, reason) }
        }
        return report
    }
}

extension VerificationReport {
    fileprivate mutating func add(_ member: MemberName?, _ part: String?, _ what: String) {
        problems.append(Problem(member: member, part: part, what: what))
    }
}
