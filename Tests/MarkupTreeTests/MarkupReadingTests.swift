import MarkupTree
import Testing

@Suite struct MarkupReadingTests {
    private func root(_ text: String) throws -> MarkupElement { try MarkupDocument(text).root }

    @Test func elementsAreFoundByTheirPath() throws {
        let domain = try root(LibvirtSample.domain(interfaces: 3))
        #expect(domain.name == "domain")
        #expect(domain["type"] == "kvm")
        #expect(domain.element("name")?.text == "desk & chair")
        let targets = domain.elements("devices", "interface", "target")
        #expect(targets.map { $0["dev"] } == ["vnet0", "vnet1", "vnet2"])
        #expect(domain.element("devices", "disk", "source")?["file"] == "/var/lib/libvirt/images/it's <one>.qcow2")
        #expect(domain.element("devices", "nothing") == nil)
        #expect(domain["nothing"] == nil)
    }

    @Test func namesKeepTheirPrefixesAndDeclarationsAreAttributes() throws {
        let domain = try root(LibvirtSample.domain())
        #expect(domain["xmlns:qemu"] == "http://libvirt.org/schemas/domain/qemu/1.0")
        #expect(domain.element("qemu:commandline", "qemu:arg")?["value"] == "-device")
        #expect(domain.element("commandline") == nil)
        let inner = try root("<a xmlns='urn:x'><b xmlns='' xmlns:y='urn:y' y:c='1'/></a>")
        #expect(inner["xmlns"] == "urn:x")
        #expect(inner.element("b")?.attributes.map(\.name) == ["xmlns", "xmlns:y", "y:c"])
    }

    /// What libvirt takes in users' metadata, and hands out again.
    @Test(arguments: [
        "<a><x:b x:c=\"1\"/></a>", "<a xmlns:x=\"relative\"/>", "<a xmlns:x=\"no uri\"/>",
        "<a xml:lang=\"?\" xml:space=\"?\"/>",
    ])
    func namespacesAreNotJudged(text: String) throws {
        #expect(try root(text).xml == text)
    }

    @Test func attributesStandInTheOrderOfTheirNames() throws {
        #expect(try root("<a c='1' b='2' a='3'/>").attributes.map(\.name) == ["a", "b", "c"])
    }

    @Test func contentKeepsItsOrder() throws {
        let content = try root("<a>1<b/>2<c>3</c>\n</a>").content.map { node in
            switch node {
            case .element(let element): "<\(element.name)>"
            case .text(let text): text
            }
        }
        #expect(content == ["1", "<b>", "2", "<c>", "\n"])
    }

    @Test func textIsThatOfAllElementsInside() throws {
        #expect(try root("<a>1<b>2</b>3</a>").text == "123")
        #expect(try root("<a></a>").text.isEmpty)
    }

    @Test func referencesAreResolved() throws {
        let read = try root("<a b='&lt;&amp;&quot;&apos;&gt;&#10;&#9;&#x1F600;'>&lt;&amp;&#13;&#xe9;</a>")
        #expect(read["b"] == "<&\"'>\n\t\u{1F600}")
        #expect(read.text == "<&\r\u{e9}")
        #expect(
            try root("<a>&gt;&quot;&apos;&#9;&#x0A;&#0065;&#xFFFD;&#x10fffd;</a>").text == ">\"'\t\nA\u{fffd}\u{10fffd}"
        )
    }

    /// As XML wants it: lines end in one way, and those inside of attributes are spaces.
    @Test func linesAreReadAsXMLHasThem() throws {
        let read = try root("<a b='1\n2\r\n3\t4'>1\r\n2\r3\n</a>")
        #expect(read["b"] == "1 2 3 4")
        #expect(read.text == "1\n2\n3\n")
    }

    @Test func charactersOutsideOfMarkupAreText() throws {
        let read = try root("<a><![CDATA[<b>&amp;]]>x<![CDATA[]]]]><![CDATA[>]]></a>")
        #expect(read.text == "<b>&amp;x]]>")
        #expect(read.content.count == 1)
        #expect(try root("<a><![CDATA[<!DOCTYPE a><?p?>]]></a>").text == "<!DOCTYPE a><?p?>")
    }

    @Test func commentsAreLeftOut() throws {
        let read = try root("<!-- <!DOCTYPE a> --><a>1<!-- <b/> -->2<!----></a><!-- c -->")
        #expect(read.text == "12")
        #expect(read.content.count == 1)
        #expect(read.xml == "<a>12</a>")
    }

    @Test(arguments: [
        "<a/>", "<a></a>", " \n<a/>\n ", "<?xml version=\"1.0\"?><a/>", "<?xml version='1.0' encoding='UTF-8'?>\n<a/>",
        "<?xml version=\"1.0\" encoding=\"utf-8\" standalone=\"no\" ?><a/>",
    ])
    func theSmallestDocumentsAreRead(text: String) throws {
        #expect(try root(text).xml == "<a/>")
    }

    /// The parser takes its first four octets apart from the rest.
    @Test(arguments: ["\u{e9}", "a\u{e9}", "ab\u{e9}", "\u{1F600}"])
    func charactersMayStandAnywhere(text: String) throws {
        #expect(try root("<a>\(text)</a>").text == text)
    }
}
