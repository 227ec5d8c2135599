import Packets
import Testing

@Suite struct HardwareAddressTests {
    @Test func parsesAndFormats() {
        let address = HardwareAddress("52:54:00:aB:0c:FF")
        #expect(address?.description == "52:54:00:ab:0c:ff")
        #expect(address == HardwareAddress("52-54-00-AB-0C-FF"))
        #expect(address?.octets == [0x52, 0x54, 0, 0xab, 0x0c, 0xff])
        #expect(HardwareAddress(octets: [0x52, 0x54, 0, 0xab, 0x0c, 0xff]) == address)
        #expect(HardwareAddress.broadcast.description == "ff:ff:ff:ff:ff:ff")
    }

    @Test(arguments: [
        "", "52:54:00:ab:0c", "52:54:00:ab:0c:f", "52:54:00:ab:0c:fff", "52:54:00:ab-0c:ff", "5254.00ab.0cff",
        "52:54:00:ab:0c:fg", "52 54 00 ab 0c ff", "+2:54:00:ab:0c:ff", "52:54:00:ab:0c:ff:01", "５2:54:00:ab:0c:f",
    ])
    func refuses(_ text: String) { #expect(HardwareAddress(text) == nil) }

    @Test func tellsGroups() throws {
        #expect(HardwareAddress.broadcast.isGroup)
        #expect(try #require(HardwareAddress("01:00:5e:00:00:01")).isGroup)
        #expect(try !#require(HardwareAddress("52:54:00:00:00:01")).isGroup)
        #expect(IPAddress.v4(0xe0ff_0001).groupHardwareAddress?.description == "01:00:5e:7f:00:01")
        #expect(
            IPAddress.v6(0xff02_0000_0000_0000, 0x1_ff00_1234).groupHardwareAddress?.description
                == "33:33:ff:00:12:34")
        #expect(IPAddress.v4(0xffff_ffff).groupHardwareAddress == .broadcast)
        #expect(IPAddress.v4(0x0a00_0001).groupHardwareAddress == nil)
        #expect(IPAddress.v6(0xfe80_0000_0000_0000, 1).groupHardwareAddress == nil)
    }
}
