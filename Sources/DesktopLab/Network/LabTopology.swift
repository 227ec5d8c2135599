/// Names and addresses of everything in a lab: they follow from its folder and its configuration alone, so that what a
/// lab made can be found again after a crash.
package struct LabTopology: Hashable, Sendable {
    package let id: String
    package let configuration: LabConfiguration

    package init(_ configuration: LabConfiguration) {
        self.configuration = configuration
        let hash = configuration.directory.utf8.reduce(UInt64(0xCBF2_9CE4_8422_2325)) {
            ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01B3
        }
        let digits = String((hash ^ (hash >> 24)) & 0xFF_FFFF, radix: 16)
        id = String(repeating: "0", count: 6 - digits.count) + digits
    }

    package var switchNamespace: String { "hf\(id)-sw" }
    package var managerNamespace: String { "hf\(id)-mgr" }
    package func namespace(ofDesktop desktop: Int) -> String { "hf\(id)-d\(desktop)" }

    package var namespaces: [String] {
        [switchNamespace, managerNamespace] + (1...configuration.desktops).map(namespace(ofDesktop:))
    }

    package var managerAddress: String { "10.77.0.1" }
    package var managerPort: Int { 7443 }
    package func address(ofDesktop desktop: Int) -> String { "10.77.0.\(10 + desktop)" }
    package func address(ofMachine machine: Int) -> String { "10.77.1.\(machine)" }

    package func hostName(ofDesktop desktop: Int) -> String { "desktop-\(desktop)" }
    package func name(ofMachine machine: Int) -> String { "vm-\(machine)" }
    /// Machines are dealt out in turn, from the first desktop.
    package func desktop(ofMachine machine: Int) -> Int { (machine - 1) % configuration.desktops + 1 }

    package func uuid(ofMachine machine: Int) -> String {
        "686f6c64-6661-4374-8000-\(id)\(LabTopology.hexadecimal(machine, digits: 6))"
    }

    package func uuid(ofDesktop desktop: Int) -> String {
        "6465736b-746f-4070-8000-\(id)\(LabTopology.hexadecimal(desktop, digits: 6))"
    }

    /// - Parameter nic: from 0.
    package func mac(ofMachine machine: Int, nic: Int = 0) -> String {
        "52:54:\(LabTopology.hexadecimal(nic, digits: 2)):77:\(LabTopology.hexadecimal(machine >> 8 & 0xFF, digits: 2))"
            + ":\(LabTopology.hexadecimal(machine & 0xFF, digits: 2))"
    }

    private static func hexadecimal(_ value: Int, digits: Int) -> String {
        let text = String(value, radix: 16)
        return String(repeating: "0", count: max(0, digits - text.count)) + text
    }

    /// Arguments for `ip`, in order, that make the network: a star of bridges, without loops and hence without
    /// spanning tree. Nothing of it is visible outside of the lab's namespaces.
    package var networkCommands: [[String]] {
        var commands: [[String]] = []
        for namespace in namespaces {
            commands.append(["netns", "add", namespace])
            commands.append(["-n", namespace, "link", "set", "lo", "up"])
        }
        func addBridge(in namespace: String) {
            commands.append([
                "-n", namespace, "link", "add", "br0", "type", "bridge", "stp_state", "0", "forward_delay", "0",
                "mcast_snooping", "0",
            ])
            commands.append(["-n", namespace, "link", "set", "br0", "up"])
        }
        addBridge(in: switchNamespace)
        func join(_ namespace: String, port: String, uplink: String) {
            commands.append([
                "-n", switchNamespace, "link", "add", port, "type", "veth", "peer", "name", uplink, "netns", namespace,
            ])
            commands.append(["-n", switchNamespace, "link", "set", port, "master", "br0", "up"])
        }
        for desktop in 1...configuration.desktops {
            let namespace = namespace(ofDesktop: desktop)
            addBridge(in: namespace)
            join(namespace, port: "desktop\(desktop)", uplink: "uplink")
            commands.append(["-n", namespace, "link", "set", "uplink", "master", "br0", "up"])
            commands.append(["-n", namespace, "addr", "add", "\(address(ofDesktop: desktop))/16", "dev", "br0"])
        }
        join(managerNamespace, port: "manager", uplink: "eth0")
        commands.append(["-n", managerNamespace, "link", "set", "eth0", "up"])
        commands.append(["-n", managerNamespace, "addr", "add", "\(managerAddress)/16", "dev", "eth0"])
        return commands
    }
}
