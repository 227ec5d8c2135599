/// Why VirtualBox has paused a VM. VBoxManage does not tell; the VM's log does.
package enum PauseCause: Sendable, Hashable {
    /// The desktop sleeps or has slept. VirtualBox resumes the VM itself and lets nobody else do so.
    case hostPower
    /// A virtual disk could not grow.
    case diskFull
    /// Somebody wanted it.
    case wanted

    /// By the last pause in the tail of a `VBox.log`.
    package init(log: some StringProtocol) {
        self = .wanted
        for line in log.split(whereSeparator: \.isNewline) {
            if line.contains("DrvVD_DISKFULL") {
                self = .diskFull
            } else if line.contains("Pausing VM execution, reason '") {
                let isHostPower = ["'HostSuspend'", "'HostBatteryLow'", "'host suspend'", "'host battery low'"]
                self = isHostPower.contains { line.contains($0) } ? .hostPower : .wanted
            } else if line.contains("Resuming VM execution, reason '") {
                self = .wanted
            }
        }
    }
}
