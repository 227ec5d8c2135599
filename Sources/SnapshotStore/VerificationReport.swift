package import SnapshotProtocol

/// What `verify` found.
package struct VerificationReport: Hashable, Sendable {
    package struct Problem: Hashable, Sendable, CustomStringConvertible {
        package var member: MemberName?
        /// Path of the part below the snapshot's folder.
        package var part: String?
        /// One sentence.
        package var what: String

        package var description: String {
            let place = [member.map(\.rawValue), part].compactMap { $0 }.joined(separator: ", ")
            return place.isEmpty ? what : "\(place): \(what)"
        }
    }

    package var snapshot: String
    /// Parts that were looked at.
    package var parts = 0
    /// Bytes that were read and hashed.
    package var bytes: UInt64 = 0
    /// As it follows from the stored evidence, whatever the manifest says.
    package var verdict: Verdict
    package var problems: [Problem] = []

    /// Whether the snapshot can be restored bit for bit and is consistent.
    package var isWhole: Bool { problems.isEmpty }
}
