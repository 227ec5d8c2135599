import ArgumentParser
import DesktopLab

/// What the machines of a lab are like.
struct LabGuestOptions: ParsableArguments {
    @Option(help: "What runs the machines: qemu, libvirt, virtualbox or mixed, each by another in turn.")
    var hypervisor = LabHypervisor.qemu

    @Option(help: "NICs of each machine.")
    var nics = 1

    @Option(help: "Disks of each machine.")
    var disks = 1

    func apply(to configuration: LabConfiguration) -> LabConfiguration {
        var configuration = configuration
        configuration.hypervisor = hypervisor
        configuration.nics = nics
        configuration.disks = disks
        return configuration
    }
}

extension LabHypervisor: ExpressibleByArgument {}
