import Hypervisor
import Testing

@testable import LibvirtHypervisor

@Suite struct HostOffersTests {
    @Test func machinesAndAcceleratorsAreThoseOfTheCapabilities() {
        let text = """
            <capabilities>
              <host><cpu><arch>x86_64</arch></cpu></host>
              <guest>
                <os_type>hvm</os_type>
                <arch name='x86_64'>
                  <wordsize>64</wordsize>
                  <machine maxCpus='255'>pc-i440fx-7.2</machine>
                  <machine canonical='pc-i440fx-7.2' maxCpus='255'>pc</machine>
                  <domain type='qemu'/>
                  <domain type='kvm'><machine maxCpus='255'>microvm</machine></domain>
                </arch>
              </guest>
              <guest><os_type>hvm</os_type><arch name='i686'><domain type='qemu'/></arch></guest>
            </capabilities>
            """
        let version = HypervisorVersion(packed: 7_002_022)
        var bare = ["hypervisor": "qemu", "version": "7.2.22"]
        bare[HostProcessor.key] = HostProcessor.identity
        let more = ["arch": "i686,x86_64", "machine": "pc,pc-i440fx-7.2", "accelerator": "kvm,qemu"]
        #expect(
            HostOffers.values(capabilities: text, version: version) == bare.merging(more) { one, _ in one })
        #expect(HostOffers.values(capabilities: "<capabilities/>", version: version) == bare)
        #expect(HostOffers.values(capabilities: "no markup", version: version) == bare)
    }
}
