import Testing

@testable import Hypervisor

@Suite struct HostProcessorTests {
    @Test func theFirstProcessorIsNamedByVendorFamilyAndModel() {
        let text = """
            processor\t: 0
            vendor_id\t: GenuineIntel
            cpu family\t: 6
            model\t\t: 158
            model name\t: Intel(R) Core(TM) i7-8700 CPU @ 3.20GHz
            stepping\t: 10

            processor\t: 1
            vendor_id\t: GenuineIntel
            cpu family\t: 6
            model\t\t: 1
            """
        #expect(HostProcessor.identity(in: text) == "GenuineIntel-6-158")
    }

    @Test func anARMProcessorIsNamedByImplementerAndPart() {
        let text = "processor\t: 0\nCPU implementer\t: 0x41\nCPU architecture: 8\nCPU part\t: 0xd0c\n"
        #expect(HostProcessor.identity(in: text) == "0x41-0xd0c")
    }

    @Test(arguments: ["", "processor\t: 0\n", "vendor_id : AuthenticAMD\nmodel : 1\n", ":\n: :\n", "vendor_id\n"])
    func whatTheKernelDoesNotTellIsNotMadeUp(text: String) {
        #expect(HostProcessor.identity(in: text) == nil)
    }

    @Test func thisHostHasOne() { #expect(HostProcessor.identity != nil) }
}
