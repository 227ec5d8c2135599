import Foundation
import MarkupTree
import Testing

@Suite struct MarkupMemoryTests {
    /// Octets of this process that are in memory.
    private func resident() throws -> Int {
        let fields = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8).split(separator: " ")
        return try #require(fields.dropFirst().first.flatMap { Int($0) }) * Int(sysconf(Int32(_SC_PAGESIZE)))
    }

    /// An agent lists its VMs for months. Foundation's XMLDocument, which keeps what it parses, needs 340 MB here.
    @Test func nothingIsKeptOfWhatWasRead() throws {
        let text = LibvirtSample.domain(interfaces: 40)
        func read(_ times: Int) throws {
            for _ in 0..<times { #expect(try MarkupDocument(text).root.elements("devices", "interface").count == 40) }
        }
        try read(200)
        let before = try resident()
        try read(2_000)
        let after = try resident()
        #expect(after - before < 40 << 20, "\((after - before) >> 20) MB more are in memory.")
    }
}
