package import SnapshotProtocol
internal import SwiftProtobuf

#if canImport(FoundationEssentials)
    internal import FoundationEssentials
#else
    internal import Foundation
#endif

/// What an administrator carries from the manager to a desktop to enrol it: one line of text, used once.
package struct EnrollmentToken: Hashable, Sendable, CustomStringConvertible {
    /// The text is not a token, or not a whole one.
    package struct Malformed: Error, Hashable, Sendable, CustomStringConvertible {
        package var description: String {
            "This is no enrolment token, or only a part of one; copy the whole line that "
                + "`holdfast-manager token` printed."
        }
    }

    /// HOST:PORT at which the manager enrols.
    package var address: String
    package var host: HostName
    /// Random bytes that the manager knows only as a hash.
    package var secret: [UInt8]
    /// The certificate of the manager's authority, DER. The agent trusts nobody else.
    package var authority: [UInt8]

    private static let prefix = "holdfast-enroll-1."

    package init(address: String, host: HostName, secret: [UInt8], authority: [UInt8]) {
        self.address = address
        self.host = host
        self.secret = secret
        self.authority = authority
    }

    /// Reads what `description` wrote. White space around it is of no account.
    package init(parsing text: String) throws(Malformed) {
        let trimmed = text.drop(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed()
        let line = String(trimmed)
        guard line.hasPrefix(Self.prefix) else { throw Malformed() }
        var encoded = String(line.dropFirst(Self.prefix.count)).replacing("-", with: "+").replacing("_", with: "/")
        encoded += String(repeating: "=", count: (4 - encoded.count % 4) % 4)
        guard let bytes = Data(base64Encoded: encoded),
            let contents = try? Holdfast_V1_TokenContents(serializedBytes: bytes),
            !contents.address.isEmpty, !contents.host.isEmpty, !contents.secret.isEmpty, !contents.authority.isEmpty
        else { throw Malformed() }
        self.init(
            address: contents.address, host: HostName(contents.host), secret: [UInt8](contents.secret),
            authority: [UInt8](contents.authority))
    }

    package var description: String {
        let contents = Holdfast_V1_TokenContents.with {
            $0.address = address
            $0.host = host.rawValue
            $0.secret = Data(secret)
            $0.authority = Data(authority)
        }
        guard let bytes: Data = try? contents.serializedBytes() else {
            preconditionFailure("A message of plain scalar fields has nothing that could fail to serialize.")
        }
        let encoded = bytes.base64EncodedString()
        let safe = encoded.replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
        return Self.prefix + safe
    }
}
