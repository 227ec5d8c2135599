import MarkupTree
import Testing

@Suite struct MarkupWritingTests {
    /// All that a tree says, in a form of its own.
    private func facts(_ element: MarkupElement) -> [String] {
        let attributes = element.attributes.map { "\($0.name)=\($0.value)" }
        let content = element.content.flatMap { node in
            switch node {
            case .element(let child): facts(child)
            case .text(let text): ["text \(text)"]
            }
        }
        return ["start \(element.name)"] + attributes + content + ["end"]
    }

    @Test(arguments: [0, 1, 40]) func aDescriptionIsReadBackAsItWasWritten(interfaces: Int) throws {
        let read = try MarkupDocument(LibvirtSample.domain(interfaces: interfaces))
        let again = try MarkupDocument(read.xml)
        #expect(facts(again.root) == facts(read.root))
        #expect(again.xml == read.xml)
        #expect(facts(read.root).count > 100)
    }

    @Test func namespacesAreWrittenAsTheyWereRead() throws {
        let xml = try MarkupDocument(LibvirtSample.domain()).xml
        #expect(xml.contains(" xmlns:qemu=\"http://libvirt.org/schemas/domain/qemu/1.0\""))
        #expect(xml.contains("<qemu:arg value=\"-device\"/>"))
        #expect(xml.contains("<qemu:env name=\"A\" value=\"&quot;quoted&quot;\"/>"))
        #expect(xml.contains("</qemu:commandline>"))
        #expect(xml.contains("<libosinfo:libosinfo xmlns:libosinfo=\"http://libosinfo.org/xmlns/libvirt/domain/1.0\">"))
    }

    @Test func itSaysThatItIsUTF8() throws {
        #expect(try MarkupDocument("<a/>").xml == "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<a/>\n")
    }

    /// Also where a combining mark makes one character of two.
    @Test(arguments: [
        "&", "<", ">", "\"", "'", "&amp;", "\n", "\r", "\r\n", "\t", " a  b ", "]]>", "<!DOCTYPE a>", "<?p?>", "<!--",
        "&\u{338}", "<\u{338}", "\"\u{301}", "\u{7f}\u{85}\u{2028}", "\u{e9}", "e\u{301}", "\u{1F600}",
    ])
    func everyCharacterIsReadBack(text: String) throws {
        let element = MarkupElement("a", ["b": text])
        element.text = text
        let read = try MarkupDocument(element.xml).root
        #expect(read["b"].map { Array($0.utf8) } == Array(text.utf8))
        #expect(Array(read.text.utf8) == Array(text.utf8))
    }

    @Test func whatXMLCannotSayIsNotReadBack() {
        #expect(throws: MarkupError.controlCharacter) {
            try MarkupDocument(MarkupElement("a", ["b": "\u{0}"]).xml)
        }
    }

    @Test func changesAreWritten() throws {
        let document = try MarkupDocument("<a><b k='1' l='2'/><c/><b k='3'/><c/></a>")
        let root = document.root
        let first = try #require(root.element("b"))
        first["k"] = "4"
        first["l"] = nil
        first["m"] = "5"
        first["none"] = nil
        root.remove("c")
        root.remove("b") { $0["k"] == "3" }
        root.append(MarkupElement("d", ["x": "1", "a": "2"], [MarkupElement("e")]))
        root.element("d", "e")?.text = "t"
        #expect(root.xml == "<a><b k=\"4\" m=\"5\"/><d x=\"1\" a=\"2\"><e>t</e></d></a>")
        #expect(document.xml.contains(root.xml))
        root.text = ""
        #expect(root.xml == "<a/>")
    }
}
