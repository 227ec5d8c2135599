/// What libvirt 9.0 prints of a running VM, with all that users add: metadata and arguments of their own for QEMU.
enum LibvirtSample {
    static func domain(interfaces: Int = 1) -> String {
        """
        <domain type='kvm' id='7' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
          <name>desk &amp; chair</name>
          <uuid>6695eb01-f6a4-8304-79aa-97f2502e193f</uuid>
          <metadata>
            <libosinfo:libosinfo xmlns:libosinfo="http://libosinfo.org/xmlns/libvirt/domain/1.0">
              <libosinfo:os id="http://debian.org/debian/12"/>
            </libosinfo:libosinfo>
          </metadata>
          <memory unit='KiB'>2097152</memory>
          <currentMemory unit='KiB'>2097152</currentMemory>
          <vcpu placement='static'>2</vcpu>
          <resource>
            <partition>/machine</partition>
          </resource>
          <os>
            <type arch='x86_64' machine='pc-q35-7.2'>hvm</type>
            <loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE_4M.fd</loader>
            <nvram>/var/lib/libvirt/qemu/nvram/desk_VARS.fd</nvram>
            <boot dev='hd'/>
          </os>
          <features>
            <acpi/>
            <apic/>
          </features>
          <cpu mode='custom' match='exact' check='full'>
            <model fallback='forbid'>Skylake-Client-IBRS</model>
            <feature policy='require' name='hypervisor'/>
          </cpu>
          <clock offset='utc'>
            <timer name='rtc' tickpolicy='catchup'/>
          </clock>
          <devices>
            <emulator>/usr/bin/qemu-system-x86_64</emulator>
            <disk type='file' device='disk'>
              <driver name='qemu' type='qcow2' discard='unmap'/>
              <source file='/var/lib/libvirt/images/it&apos;s &lt;one&gt;.qcow2' index='1'/>
              <backingStore/>
              <target dev='vda' bus='virtio'/>
              <alias name='virtio-disk0'/>
              <address type='pci' domain='0x0000' bus='0x04' slot='0x00' function='0x0'/>
            </disk>
        \((0..<interfaces).map(interface).joined(separator: "\n"))
            <serial type='pty'>
              <source path='/dev/pts/3'/>
              <target type='isa-serial' port='0'>
                <model name='isa-serial'/>
              </target>
              <alias name='serial0'/>
            </serial>
          </devices>
          <seclabel type='dynamic' model='dac' relabel='yes'>
            <label>+64055:+64055</label>
          </seclabel>
          <qemu:commandline>
            <qemu:arg value='-device'/>
            <qemu:env name='A' value='"quoted"'/>
          </qemu:commandline>
        </domain>

        """
    }

    private static func interface(_ number: Int) -> String {
        """
            <interface type='bridge'>
              <mac address='52:54:00:aa:00:\(number < 16 ? "0" : "")\(String(number, radix: 16))'/>
              <source bridge='br0'/>
              <target dev='vnet\(number)'/>
              <model type='virtio'/>
              <alias name='net\(number)'/>
              <address type='pci' domain='0x0000' bus='0x01' slot='0x00' function='0x0'/>
            </interface>
        """
    }
}
