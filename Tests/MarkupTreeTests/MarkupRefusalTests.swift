import MarkupTree
import Testing

@Suite struct MarkupRefusalTests {
    private func failure(_ text: String) -> MarkupError? {
        do throws(MarkupError) {
            _ = try MarkupDocument(text)
            return nil
        } catch {
            return error
        }
    }

    @Test(arguments: ["", " ", "\n", "a", "<", ">", "<a", "<a/>x", "x<a/>", "<a>x", "<a/>&", "\u{feff}<a/>"])
    func whatDoesNotBeginAndEndWithATagIsNotWhole(text: String) {
        #expect(failure(text) == .notWhole)
    }

    @Test(arguments: [
        "<>", "</a>", "<a>", "<a><b></a>", "<a></b>", "<a></a", "<a><b>", "<a></a", "<a></a><b/>", "<a/><a/>",
        "<a/>x<b/>", "<a/><![CDATA[x]]>", "<![CDATA[x]]><a/>", "<a/></a>", "<1/>", "<a b/>", "<a b=c/>",
        "<a b='1' b='2'/>",
        "<a b='<'/>", "<a b='>", "<a b='/>", "<a>&</a>", "<a>& b</a>", "<a>&x;</a>", "<a b='&x;'/>", "<a>&lt</a>",
        "<a>&#0;</a>", "<a b='&#0;'/>", "<a>&#1;</a>", "<a>&#xD800;</a>", "<a>&#x110000;</a>", "<a>&#xfffe;</a>",
        "<a>&#;</a>", "<a>&#x;</a>", "<a>&#+65;</a>", "<a>&#a;</a>", "<a>&;</a>", "<a b='&#xfffe;'/>",
        "<a>]]></a>", "<a><![CDATA[</a>", "<a><!-- </a>", "<a><!-- -- --></a>", "<a><!--- --- --></a>", "<!-- a -->",
        "<a xmlns:x=''/>", "<:a/>", "<a:/>", "<a:b:c/>", "<a><!x></a>", "<!doctype a><a/>", "<a <b/>/>", "< a/>",
    ])
    func whatIsDamagedIsNotMended(text: String) {
        // Not whole are those that end in the middle of a tag.
        #expect(failure(text) == .malformed(line: 1) || failure(text) == .notWhole)
    }

    @Test(arguments: ["<a>\n\n<b>\n</a>", "<a>\n\n&x;</a>", "<a>\n\n<!-- -- --></a>", "<a\n\n<"])
    func theLineIsTold(text: String) {
        guard case .malformed(let line)? = failure(text + (text.hasSuffix(">") ? "" : ">")) else {
            Issue.record("It is not refused as malformed.")
            return
        }
        #expect(line > 1)
    }

    @Test(arguments: ["\u{0}", "\u{1}", "\u{8}", "\u{b}", "\u{1b}", "\u{1f}", "\u{fffe}", "\u{ffff}"])
    func controlCharactersAreRefused(character: String) {
        for text in ["<a>\(character)</a>", "<a b='\(character)'/>", "<\(character)a/>", "<a/>\(character)<!---->"] {
            #expect(failure(text) == .controlCharacter)
        }
    }

    @Test(arguments: [
        "<!DOCTYPE a><a/>", "<!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/hostname\">]><a>&x;</a>",
        "<!DOCTYPE a SYSTEM \"file:///etc/hostname\"><a/>", "<!DOCTYPE\u{301} a><a/>",
        "<?xml version=\"1.0\"?>\n<!-- x -->\n<!DOCTYPE a><a/>", "<a><!DOCTYPE a></a>", "<a/><!DOCTYPE a>",
    ])
    func aDocumentTypeIsRefused(text: String) {
        #expect(failure(text) == .documentType)
    }

    @Test(arguments: [
        "<?xml version=\"1.0\" encoding=\"UTF-7\"?>+ADwAIQ-DOCTYPE d+AD4-<a/>",
        "<?xml version='1.0' encoding='utf-16'?><a/>",
        "<?xml version=\"1.1\"?><a/>", "<?xml encoding=\"utf-8\"?><a/>", "<?xml ?><a/>",
        "<?xml version=\"1.0\" encoding=\"utf-7\" encoding=\"utf-8\"?><a/>",
        "<?xml version=\"encoding='utf-8'\" encoding=\"utf-7\"?><a/>",
    ])
    func anotherDeclarationIsRefused(text: String) {
        #expect(failure(text) == .declaration)
    }

    /// Foundation's parser ends the process at the first of them.
    @Test(arguments: [
        "<a><?p?></a>", "<a><?p i?></a>", "<?p?><a/>", "<a/><?p?>", " <?xml version=\"1.0\"?><a/>",
        "<?xml-stylesheet x?><a/>",
    ])
    func processingInstructionsAreRefused(text: String) {
        #expect(failure(text) == .processingInstruction)
    }

    private func nested(_ depth: Int) -> String {
        String(repeating: "<a>", count: depth) + String(repeating: "</a>", count: depth)
    }

    @Test func elementsMayNotBeNestedWithoutEnd() throws {
        let deepest = try MarkupDocument(nested(MarkupDocument.deepest))
        #expect(try MarkupDocument(deepest.xml).xml == deepest.xml)
        #expect(deepest.root.text.isEmpty)
        #expect(failure(nested(MarkupDocument.deepest + 1)) == .tooDeep)
        #expect(failure(nested(500_000)) == .tooDeep)
        #expect(failure(String(repeating: "<a>", count: 500_000)) == .tooDeep)
    }

    @Test func aTextMayNotBeLongWithoutEnd() throws {
        let room = MarkupDocument.longest - "<a></a>".utf8.count
        #expect(try MarkupDocument("<a>\(String(repeating: "x", count: room))</a>").root.text.utf8.count == room)
        #expect(failure("<a>\(String(repeating: "x", count: room + 1))</a>") == .tooLong)
    }

    @Test func aTagMayNotBeLongWithoutEnd() throws {
        let room = MarkupDocument.longestTag - "<a b=''/>".utf8.count
        #expect(try MarkupDocument("<a b='\(String(repeating: ">", count: room))'/>").root["b"]?.count == room)
        #expect(failure("<a b='\(String(repeating: ">", count: room + 1))'/>") == .tooLong)
    }

    @Test func elementsMayNotBeWithoutNumber() throws {
        let children = String(repeating: "<b/>", count: MarkupDocument.most - 1)
        #expect(try MarkupDocument("<a>\(children)</a>").root.content.count == MarkupDocument.most - 1)
        #expect(failure("<a>\(children)<b/></a>") == .tooLong)
    }

    /// One such text would cost 300 MB for good, if all of its errors were told.
    @Test(arguments: ["&", "&x;", "&#0;", "]]>", "<x:b/>", "<b x:c=''/>", "<b c=''c=''/>"])
    func errorsMayNotBeWithoutNumber(text: String) {
        let failure = failure("<a>\(String(repeating: text, count: 200_000))</a>")
        #expect(failure == .malformed(line: 1))
    }

    @Test func theReasonsAreSentences() {
        let reasons: [MarkupError] = [
            .notWhole, .controlCharacter, .documentType, .declaration, .processingInstruction, .tooLong, .tooDeep,
            .malformed(line: 3),
        ]
        #expect(Set(reasons.map(\.predicate)).count == reasons.count)
        #expect(reasons.allSatisfy { $0.predicate.hasPrefix("must ") })
    }
}
