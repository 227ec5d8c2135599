package import SnapshotProtocol

/// A name under which another program (an image converter, a packet logger) may write a part. There is no file yet.
package struct TemporaryPart: Sendable {
    /// Give this to the program.
    package let path: String
    let part: PendingPart

    init(_ part: PendingPart) {
        self.part = part
        self.path = part.folder.path(of: part.temporary)
    }

    package var member: MemberName { part.member }

    /// Removes what the program wrote, if anything.
    package func remove() { part.remove() }
}
