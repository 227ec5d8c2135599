import Foundation
import FoundationXML

/// Builds the tree from what Foundation's parser tells, until there is an error.
///
/// The parser itself goes on after errors, and its answer is that all went well even after some, even of a text that is
/// too short for it to look at.
final class MarkupReader: NSObject, XMLParserDelegate {
    /// libxml2's numbers of what is no error of XML: a language or way of spacing that it does not know, a namespace that
    /// is no URI or not a full one, a prefix that is declared nowhere. All is kept as it is written, as libvirt keeps it.
    private static let harmless: Set<Int> = [98, 99, 100, 102, 201]

    /// Who has more of them than this has made them for the sake of it: Foundation keeps some 80 octets for each.
    private static let patience = 1_000

    private var root: MarkupElement?
    private var open: [MarkupElement] = []
    private var count = 0
    private var errors = 0
    private var text = ""
    private var isEnded = false
    private var failure: MarkupError?

    /// The text must have passed `MarkupScan`.
    static func read(_ octets: [UInt8]) throws(MarkupError) -> MarkupElement {
        let reader = MarkupReader()
        let parser = XMLParser(data: Data(octets))
        parser.externalEntityResolvingPolicy = .never
        parser.delegate = reader
        let isParsed = withExtendedLifetime(reader) { parser.parse() }
        if let failure = reader.failure { throw failure }
        guard isParsed, reader.isEnded, reader.open.isEmpty, let root = reader.root else {
            throw .malformed(line: max(1, parser.lineNumber))
        }
        return root
    }

    /// Not at the error itself: libxml2 may then read on in what this frees.
    private func goesOn(_ parser: XMLParser) -> Bool {
        if failure != nil { parser.abortParsing() }
        return failure == nil
    }

    private func endText() {
        if !text.isEmpty { open.last?.append(text) }
        text = ""
    }

    func parser(
        _ parser: XMLParser, didStartElement name: String, namespaceURI: String?, qualifiedName: String?,
        attributes: [String: String]
    ) {
        if open.count == MarkupDocument.deepest { failure = failure ?? .tooDeep }
        if count == MarkupDocument.most { failure = failure ?? .tooLong }
        guard goesOn(parser) else { return }
        endText()
        let element = MarkupElement(name, attributes: attributes)
        if let parent = open.last { parent.append(element) } else { root = element }
        open.append(element)
        count += 1
    }

    func parser(_ parser: XMLParser, didEndElement name: String, namespaceURI: String?, qualifiedName: String?) {
        guard failure == nil else { return }
        endText()
        _ = open.popLast()
    }

    func parser(_ parser: XMLParser, foundCharacters string: String) {
        if goesOn(parser) { text += string }
    }

    func parser(_ parser: XMLParser, foundCDATA block: Data) {
        if failure == nil { text += String(decoding: block, as: UTF8.self) }
    }

    func parserDidEndDocument(_ parser: XMLParser) { isEnded = true }

    func parser(_ parser: XMLParser, parseErrorOccurred error: any Error) {
        errors += 1
        guard !Self.harmless.contains((error as NSError).code) || errors > Self.patience else { return }
        failure = failure ?? .malformed(line: parser.lineNumber)
    }
}
