import Foundation

/// The command line of the QEMU that stands for a VM, made of the VM's settings.
///
/// VirtualBox starts no kernel by itself; the settings' extra data says which one QEMU starts: `StandIn/Kernel`,
/// `StandIn/Initrd`, `StandIn/Append`, `StandIn/Accelerator`.
struct GuestCommand {
    let machine: Machine
    let socket: String
    let processFile: String

    static let prefix = "StandIn/"

    private func extra(_ key: String) -> String? { machine.model.extraData[Self.prefix + key] }

    /// In QEMU's option strings a comma is written twice.
    private func option(_ text: String) -> String { text.replacingOccurrences(of: ",", with: ",,") }

    static func drive(_ index: Int) -> String { "disk\(index)" }

    var words: [String] {
        get throws {
            let model = machine.model
            let accelerator = extra("Accelerator") ?? "tcg"
            var words = [
                "qemu-system-x86_64", "-name", "guest=\(option(model.name))", "-uuid", machine.uuid, "-machine", "pc",
                "-accel", accelerator, "-cpu", accelerator == "kvm" ? "host" : "max", "-m", "\(model.memory)", "-smp",
                "\(model.processors)", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-global",
                "PIIX4_PM.disable_s3=1", "-no-hpet", "-qmp", "unix:\(option(socket)),server=on,wait=off", "-pidfile",
                processFile,
            ]
            if let kernel = extra("Kernel") { words += ["-kernel", kernel] }
            if let initrd = extra("Initrd") { words += ["-initrd", initrd] }
            if let append = extra("Append") { words += ["-append", append] }
            for (index, entry) in model.attachments.enumerated() {
                guard let medium = model.medium(entry.attachment.medium) else {
                    throw Refusal(
                        "Could not find an open hard disk with UUID {\(entry.attachment.medium)}", code: .objectNotFound
                    )
                }
                let name = Self.drive(index)
                words += [
                    "-drive", "file=\(option(machine.path(medium.location))),format=qcow2,if=none,id=\(name)",
                    "-device",
                    "virtio-blk-pci,drive=\(name),addr=\(String(8 + index, radix: 16))",
                ]
            }
            for adapter in model.adapters {
                guard adapter.attachment == "bridged" else { continue }
                words += [
                    "-netdev", "tap,id=net\(adapter.slot),ifname=\(option(adapter.peer)),script=no,downscript=no",
                    "-device",
                    "virtio-net-pci,netdev=net\(adapter.slot),mac=\(address(adapter.mac)),"
                        + "addr=\(String(16 + adapter.slot, radix: 16))",
                ]
            }
            for port in model.ports {
                words += [
                    "-chardev", "file,id=serial\(port.slot),path=\(option(port.path)),append=on", "-serial",
                    "chardev:serial\(port.slot)",
                ]
            }
            return words
        }
    }

    private func address(_ digits: String) -> String {
        let digits = Array(digits.lowercased())
        return stride(from: 0, to: digits.count, by: 2).map { String(digits[$0..<min($0 + 2, digits.count)]) }
            .joined(separator: ":")
    }
}
