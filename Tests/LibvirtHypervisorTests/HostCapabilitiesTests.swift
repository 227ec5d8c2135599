import Testing

@testable import LibvirtHypervisor

@Suite("What a host of libvirt can run") struct HostCapabilitiesTests {
    @Test("Architectures and machine types by their own names")
    func names() {
        let xml = """
            <capabilities>
              <host><cpu><arch>x86_64</arch></cpu></host>
              <guest>
                <os_type>hvm</os_type>
                <arch name='x86_64'>
                  <machine maxCpus='255'>pc-i440fx-7.2</machine>
                  <machine canonical='pc-i440fx-7.2' maxCpus='255'>pc</machine>
                  <domain type='qemu'/>
                  <domain type='kvm'><machine maxCpus='1'>pc-q35-7.2</machine></domain>
                </arch>
              </guest>
              <guest><os_type>hvm</os_type><arch name='i686'><machine>isapc</machine></arch></guest>
            </capabilities>
            """
        #expect(
            HostCapabilities.offer(in: xml) == ["arch": "i686,x86_64", "machine": "isapc,pc-i440fx-7.2,pc-q35-7.2"])
    }

    @Test("Of what is none nothing is said", arguments: ["", "<domain/>", "<capabilities>"])
    func nonsense(xml: String) {
        #expect(HostCapabilities.offer(in: xml).isEmpty)
    }
}
