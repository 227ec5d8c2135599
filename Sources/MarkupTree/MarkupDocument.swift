/// A whole XML document: what libvirt and VirtualBox write of their VMs.
///
/// It is read strictly, by Foundation's XMLParser. Nothing that is damaged is mended, so whoever reads the same text with
/// another parser sees the same, or refuses it as this does. XMLDocument of Foundation on Linux is not used: it mends,
/// ends the process on an empty text, and keeps all that it ever parsed, some 13 octets for each of a text.
///
/// Names are kept as they are written, with their prefixes, and declarations of namespaces are attributes like all
/// others. CDATA becomes text. Comments are left out, since none of the programs heeds one. Attributes stand in the order
/// of their names: the parser does not tell in which they were written.
package struct MarkupDocument {
    /// Octets that a text may have. libvirt's own protocol carries no longer one.
    package static let longest = 4 << 20
    /// Octets that a single tag may have, since libxml2 compares each of its attributes with every other.
    package static let longestTag = 64 << 10
    /// Elements that may be inside of each other. VirtualBox nests up to 250 snapshots, with two elements for each.
    package static let deepest = 1_024
    /// Elements that a text may have: some 200 octets of memory each. VirtualBox writes about 100 for each snapshot.
    package static let most = 200_000

    static let declaration = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n"

    package let root: MarkupElement

    package init(_ text: String) throws(MarkupError) {
        let octets = Array(text.utf8)
        try MarkupScan.check(octets)
        root = try MarkupReader.read(octets)
    }

    package var xml: String { Self.declaration + root.xml + "\n" }
}
