import MarkupTree

/// What runs the guests' instructions.
package enum Accelerator: String, Sendable, Codable, Hashable {
    case kvm
    case tcg
}

/// One guest of the lab, and how libvirt is told of it.
package struct DomainDescription: Sendable {
    package var name: String
    package var uuid: String
    /// Hardware address of each NIC.
    package var nics: [String]
    /// MiB.
    package var memory: Int
    package var accelerator: Accelerator
    package var kernel: String
    package var initrd: String
    package var commandLine: String
    /// File of each disk.
    package var disks: [String]
    package var serialLog: String

    package init(machine: Int, topology: LabTopology, folders: LabFolders, accelerator: Accelerator) {
        let configuration = topology.configuration
        name = topology.name(ofMachine: machine)
        uuid = topology.uuid(ofMachine: machine)
        nics = (0..<configuration.nics).map { topology.mac(ofMachine: machine, nic: $0) }
        memory = configuration.memory
        self.accelerator = accelerator
        kernel = folders.kernel
        initrd = folders.initrd
        disks = (0..<configuration.disks).map { [name] in folders.disk(of: name, $0) }
        serialLog = folders.serialLog(of: name)
        commandLine =
            (DomainDescription.kernelOptions(accelerator) + [
                "hf.index=\(machine)", "hf.members=\(configuration.machines)", "hf.rate=\(configuration.rate)",
                "hf.ipv6=\(configuration.mixesFamilies ? 1 : 0)", "hf.nics=\(configuration.nics)",
            ] + configuration.guestOptions).joined(separator: " ")
    }

    /// Quiet, because the console carries the reports. On a busy machine an emulated guest mistakes the frequency of its
    /// time stamp counter, by a factor of three even; the frequency of the power management timer is given. What
    /// an emulator must translate for nothing is switched off: after a restore it starts with no code at all.
    static func kernelOptions(_ accelerator: Accelerator) -> [String] {
        ["console=ttyS0", "quiet", "loglevel=1", "panic=-1", "no_timer_check", "random.trust_cpu=on"]
            + (accelerator == .tcg
                ? [
                    "tsc=unstable", "clocksource=acpi_pm", "mitigations=off", "psi=0", "nowatchdog", "audit=0",
                    "hardened_usercopy=off", "init_on_alloc=0",
                ] : [])
    }

    package var xml: String {
        """
        <domain type='\(accelerator == .kvm ? "kvm" : "qemu")'>
          <name>\(MarkupEscape.attribute(name))</name>
          <uuid>\(uuid)</uuid>
          <memory unit='MiB'>\(memory)</memory>
          <vcpu>1</vcpu>
          <os>
            <type arch='x86_64' machine='pc'>hvm</type>
            <kernel>\(MarkupEscape.attribute(kernel))</kernel>
            <initrd>\(MarkupEscape.attribute(initrd))</initrd>
            <cmdline>\(MarkupEscape.attribute(commandLine))</cmdline>
          </os>
          <features><acpi/></features>
          <cpu mode='\(accelerator == .kvm ? "host-passthrough" : "maximum")'/>
          <clock offset='utc'><timer name='hpet' present='no'/></clock>
          <on_poweroff>destroy</on_poweroff>
          <on_reboot>destroy</on_reboot>
          <on_crash>destroy</on_crash>
          <devices>
            <emulator>/usr/bin/qemu-system-x86_64</emulator>
        \(diskElements)
            <controller type='usb' model='none'/>
        \(nicElements)
            <serial type='file'>
              <source path='\(MarkupEscape.attribute(serialLog))' append='on'/>
              <target port='0'/>
            </serial>
            <memballoon model='none'/>
          </devices>
        </domain>

        """
    }

    private var diskElements: String {
        zip(disks, "abcdefghijklmnopqrstuvwxyz").map { disk, letter in
            """
                <disk type='file' device='disk'>
                  <driver name='qemu' type='qcow2'/>
                  <source file='\(MarkupEscape.attribute(disk))'/>
                  <target dev='vd\(letter)' bus='virtio'/>
                </disk>
            """
        }.joined(separator: "\n")
    }

    private var nicElements: String {
        nics.map { mac in
            """
                <interface type='bridge'>
                  <mac address='\(mac)'/>
                  <source bridge='br0'/>
                  <model type='virtio'/>
                </interface>
            """
        }.joined(separator: "\n")
    }
}
