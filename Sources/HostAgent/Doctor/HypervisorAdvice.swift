/// What to do about a hypervisor, in the words of its users.
enum HypervisorAdvice {
    /// - Parameter driver: its name.
    static func ofSilence(_ driver: String) -> String {
        switch driver {
        case "libvirt": "See whether libvirtd hangs, and restart it."
        case "virtualbox":
            "See whether `VBoxManage list vms` ends for the user of the agent; if not, end VBoxManage and VBoxSVC."
        case "qemu": "See whether the QEMU of a VM hangs or was stopped."
        default: "See whether its daemon hangs, and restart it."
        }
    }

    /// About a cut that cannot even be prepared in time.
    static func ofSilentCut(_ driver: String) -> String {
        driver == "qemu" ? "See whether the VM's QEMU hangs or was stopped." : ofSilence(driver)
    }
}
