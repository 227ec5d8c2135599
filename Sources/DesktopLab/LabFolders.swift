/// Where a lab keeps what.
package struct LabFolders: Hashable, Sendable {
    package let root: String

    package init(root: String) {
        self.root = root
    }

    package var state: String { "\(root)/lab.json" }
    package var guest: String { "\(root)/guest" }
    package var kernel: String { "\(guest)/vmlinuz" }
    package var initrd: String { "\(guest)/initrd" }
    package var serial: String { "\(root)/serial" }
    package var disks: String { "\(root)/disks" }
    package var logs: String { "\(root)/logs" }
    package var repository: String { "\(root)/repository" }
    package var manager: String { "\(root)/manager" }
    package var credentials: String { "\(manager)/admin" }

    package func serialLog(of machine: String) -> String { "\(serial)/\(machine).log" }
    package func disk(of machine: String) -> String { "\(disks)/\(machine).qcow2" }
    /// Of the disks of a machine that has several, from 0.
    package func disk(of machine: String, _ index: Int) -> String {
        index == 0 ? disk(of: machine) : "\(disks)/\(machine)-\(index).qcow2"
    }
    package func domain(of machine: String) -> String { "\(guest)/\(machine).xml" }
    package func desktop(_ desktop: Int) -> String { "\(root)/d\(desktop)" }
    package func log(_ name: String) -> String { "\(logs)/\(name).log" }

    /// What stands in for a folder of the machine in the eyes of one desktop's libvirtd.
    package func libvirt(_ desktop: Int, _ part: LibvirtFolder) -> String {
        "\(self.desktop(desktop))/\(part.rawValue)"
    }
    package func socket(ofDesktop desktop: Int) -> String { "\(libvirt(desktop, .run))/libvirt-sock" }
    /// Where the guests under QEMU that the desktop's owner has started have their sockets.
    package func guests(_ desktop: Int) -> String { "\(self.desktop(desktop))/guests" }
    /// Where those have theirs that the agent has started.
    package func agentMachines(_ desktop: Int) -> String { "\(self.desktop(desktop))/machines" }
    /// Where the stand-in for VirtualBox keeps what is the desktop's.
    package func virtualBox(_ desktop: Int) -> String { "\(self.desktop(desktop))/virtualbox" }
    /// The desktop's VBoxManage.
    package func virtualBoxCommand(_ desktop: Int) -> String { "\(virtualBox(desktop))/VBoxManage" }
    package func agent(_ desktop: Int) -> String { "\(self.desktop(desktop))/agent" }
    package func agentConfiguration(_ desktop: Int) -> String { "\(self.desktop(desktop))/agent.yaml" }
    package func storage(_ desktop: Int) -> String { "\(self.desktop(desktop))/storage" }
    /// Where the agent of a desktop keeps the overlays of an epoch.
    package func workspace(_ desktop: Int) -> String { "\(storage(desktop))/epochs" }
    /// Where the agent of a desktop keeps the disks of restored machines.
    package func restored(_ desktop: Int) -> String { "\(storage(desktop))/restored" }
    /// By how much the desktop's clock is wrong; see `LabConfiguration.clockLibrary`.
    package func clock(_ desktop: Int) -> String { "\(self.desktop(desktop))/clock" }
}

/// The folders of a machine that each desktop's libvirtd must have to itself.
package enum LibvirtFolder: String, CaseIterable, Sendable {
    case run
    case lib
    case log
    case cache
    case etc

    package var place: String {
        switch self {
        case .run: "/run/libvirt"
        case .lib: "/var/lib/libvirt"
        case .log: "/var/log/libvirt"
        case .cache: "/var/cache/libvirt"
        case .etc: "/etc/libvirt"
        }
    }
}
