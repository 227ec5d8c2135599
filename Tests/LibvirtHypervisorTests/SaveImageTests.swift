import Testing

@testable import LibvirtHypervisor

@Suite struct SaveImageTests {
    private func word(_ index: Int, of header: [UInt8]) -> UInt32 {
        header[(16 + 4 * index)..<(20 + 4 * index)].enumerated().reduce(0) {
            $0 | UInt32($1.element) << (8 * $1.offset)
        }
    }

    @Test func theLayoutIsLibvirts() {
        let header = SaveImage.header(description: "<domain/>")
        #expect(header.prefix(16).elementsEqual("LibvirtQemudSave".utf8))
        #expect(word(0, of: header) == 2)
        #expect(word(1, of: header) == UInt32(header.count - 92))
        #expect((2..<19).allSatisfy { word($0, of: header) == 0 })
        #expect(header[92..<101].elementsEqual("<domain/>".utf8))
        #expect(header[101...].allSatisfy { $0 == 0 })
    }

    /// A text that just fits with its ending zero, one octet more, and the same around the next boundary.
    @Test(arguments: [
        (0, 4096), (1, 4096), (4003, 4096), (4004, 8192), (4005, 8192), (8099, 8192), (8100, 12288),
    ])
    func theStreamStartsAtAMultipleOfAPage(length: Int, expected: Int) {
        let header = SaveImage.header(description: String(repeating: "x", count: length))
        #expect(header.count == expected)
        #expect(header.last == 0)
    }

    @Test func lengthsAreOfOctetsNotCharacters() {
        let header = SaveImage.header(description: String(repeating: "ä", count: 2002))
        #expect(header.count == 8192)
    }
}
