package import SnapshotProtocol

/// The closed list of what a repository can fail with. Each description says what happened and what to do.
package enum StoreError: Error, Hashable, Sendable {
    /// No such snapshot: never taken, not sealed, or deleted.
    case notFound(snapshot: String)
    case notARepository(path: String, why: String)
    case notWritable(path: String, why: String)
    case noSpace(path: String)
    /// A snapshot or a part of that name is there already; what is there is never overwritten.
    case alreadyExists(String)
    /// What is stored is not what was stored. `member` and `part` are nil where the manifest itself is meant.
    case damaged(snapshot: String, member: MemberName?, part: String?, why: String)
    case manifestVersion(snapshot: String, found: Int, supported: Int)
    case repositoryVersion(path: String, found: Int, supported: Int)
    case invalidName(String, why: String)
    /// The evidence of the snapshot does not bear it out, so it must not be sealed.
    case inconsistent(snapshot: String, reasons: [String])
    case io(path: String, why: String)
}

extension StoreError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .notFound(let snapshot):
            return "There is no snapshot \(snapshot) in the repository. List the snapshots to see which there are."
        case .notARepository(let path, let why):
            return "\(path) is not a snapshot repository: \(why) Check the path and that its file system is mounted."
        case .notWritable(let path, let why):
            return "\(path) cannot be written: \(why). Check its owner, its mode and how its file system is mounted."
        case .noSpace(let path):
            return "There is no space left for \(path). Delete snapshots, collect, or enlarge the file system or quota."
        case .alreadyExists(let what):
            return "\(what) is there already, and what is stored is never overwritten. Choose another name."
        case .damaged(let snapshot, let member, let part, let why):
            let place = [member.map { "member \($0)" }, part.map { "part \($0)" }].compactMap { $0 }
            let within = place.isEmpty ? "" : ", " + place.joined(separator: ", ")
            return "Snapshot \(snapshot)\(within) is damaged: \(why) Do not restore it; take it from another copy."
        case .manifestVersion(let snapshot, let found, let supported):
            return """
                The manifest of snapshot \(snapshot) has version \(found), and this program reads version \(supported). \
                Use the version of Holdfast that wrote it.
                """
        case .repositoryVersion(let path, let found, let supported):
            return """
                The repository \(path) has version \(found), and this program uses version \(supported). Use the \
                version of Holdfast that made it.
                """
        case .invalidName(let name, let why):
            return "\(name.debugDescription) cannot be used as a name: \(why)"
        case .inconsistent(let snapshot, let reasons):
            return "Snapshot \(snapshot) cannot be sealed: \(reasons.joined(separator: " ")) Take it again."
        case .io(let path, let why):
            return "\(path): \(why). Check the file system and its disk."
        }
    }

    /// The same for reports, with the code that decides the exit code.
    package var failure: Failure {
        let code: FailureCode
        var member: MemberName?
        switch self {
        case .notFound: code = .notFound
        case .notARepository, .notWritable: code = .repositoryNotWritable
        case .noSpace: code = .noSpace
        case .alreadyExists: code = .alreadyExists
        case .damaged(_, let name, _, _):
            code = .snapshotDamaged
            member = name
        case .manifestVersion, .repositoryVersion: code = .manifestVersion
        case .invalidName: code = .usage
        case .inconsistent: code = .gateBroken
        case .io: code = .internalError
        }
        return Failure(code, member: member, description)
    }
}
