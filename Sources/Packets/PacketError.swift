/// Why bytes are not the packet or file they were taken for. Every decoder throws one of these and nothing else,
/// whatever bytes it is given.
package enum PacketError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The bytes end before the named part does.
    case truncated(String)
    /// A version field says that the bytes are of another protocol or another version of it.
    case version(String, found: Int)
    /// A length field contradicts itself or what surrounds it.
    case length(String)
    /// A checksum does not match.
    case checksum(String)
    /// The bytes are well formed, but not the named thing.
    case notA(String)
    /// A value does not fit into the field that shall carry it.
    case tooLong(String)

    package var description: String {
        switch self {
        case .truncated(let part): "The bytes end within the \(part)."
        case .version(let part, let found): "The \(part) has version \(found), which is not known here."
        case .length(let part): "The length field of the \(part) is wrong."
        case .checksum(let part): "The checksum of the \(part) is wrong."
        case .notA(let part): "This is no \(part)."
        case .tooLong(let part): "The \(part) does not fit into its field."
        }
    }
}
