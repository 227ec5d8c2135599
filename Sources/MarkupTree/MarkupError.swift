/// Why a text is no document.
package enum MarkupError: Error, Hashable {
    /// It does not begin and end with a tag.
    case notWhole
    /// XML has no such characters.
    case controlCharacter
    /// It could make a parser read other files, or more than there is memory.
    case documentType
    /// Another version than 1.0, or another encoding than UTF-8, which could hide a document type.
    case declaration
    /// At one without data Foundation's parser ends the process, and libvirt and VirtualBox write none.
    case processingInstruction
    /// The text, or one tag of it, has more octets than any that libvirt or VirtualBox writes; or too many elements.
    case tooLong
    case tooDeep
    case malformed(line: Int)

    /// The rest of a sentence that begins with what was read, one or many.
    package var predicate: String {
        switch self {
        case .notWhole: "must be whole XML"
        case .controlCharacter: "must not hold control characters"
        case .documentType: "must not have a document type"
        case .declaration: "must be XML 1.0 in UTF-8"
        case .processingInstruction: "must not have processing instructions"
        case .tooLong: "must not be longer than what such a program writes"
        case .tooDeep: "must not have more than \(MarkupDocument.deepest) elements inside of each other"
        case .malformed(let line): "must be well-formed XML, which line \(line) is not"
        }
    }
}
