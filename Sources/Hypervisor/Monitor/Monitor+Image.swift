import Glibc

/// One name for all images: QEMU puts a new descriptor in the place of one that a killed agent left.
package enum ImageDescriptor {
    static let name = "holdfast-image"
    /// Makes QEMU write the image.
    package static let migrate = #"{"execute":"migrate","arguments":{"uri":"fd:\#(name)"}}"#
    /// Makes a QEMU that waits for an image read it.
    package static let migrateIncoming = #"{"execute":"migrate-incoming","arguments":{"uri":"fd:\#(name)"}}"#
}

/// What every driver over QEMU tells the monitor about the guest's state and the image.
extension Monitor where Self: ~Copyable {
    /// As in `running`, `paused`, `io-error`.
    package func runState() throws(HypervisorError) -> String? {
        MonitorAnswer.runState(in: try execute(#"{"execute":"query-status"}"#))
    }

    package func migration() throws(HypervisorError) -> (status: String, error: String?) {
        MonitorAnswer.migration(in: try execute(#"{"execute":"query-migrate"}"#))
    }

    /// Whether no image is about to stop the guest once more: QEMU stops it by itself when it begins to capture.
    package func imageIsSettled() throws(HypervisorError) -> Bool {
        !["setup", "active", "cancelling", "device", "wait-unplug"].contains(try migration().status)
    }

    /// Why QEMU would refuse to save the VM; it would say so only when the guest is frozen already.
    package func imageBlocker() throws(HypervisorError) -> String? {
        MonitorAnswer.blockers(in: try execute(#"{"execute":"query-migrate"}"#)).first
    }

    /// Hands over QEMU's end of the image socket and sets what an image of a running guest needs.
    ///
    /// - Parameter memoryNeedsPause: why the guest's memory cannot be saved while it runs, if so.
    package func prepareImage(
        into descriptor: Int32, memoryNeedsPause: String?
    ) throws(HypervisorError) -> CutMethod {
        try giveDescriptor(descriptor)
        // Unlimited: what slows the image down is the sink, never QEMU's default of 128 MiB/s.
        try setBandwidth(1 << 40)
        if let memoryNeedsPause { return .paused(reason: memoryNeedsPause) }
        if let refusal = set("background-snapshot", true) {
            return .paused(reason: "QEMU offers no background image here (\(refusal))")
        }
        return .background
    }

    /// Has QEMU prepare the image of a running guest while it runs: it looks at each page of the memory once, which takes
    /// longer than all that follows. It goes on, and stops the guest, when `stream` is unblocked.
    package func beginImage(of process: GuestProcess?) throws(HypervisorError) {
        guard let process else {
            try execute(ImageDescriptor.migrate)
            return
        }
        try process.awaitQuiet(
            after: { () throws(HypervisorError) in try execute(ImageDescriptor.migrate) }, atMost: 2_000_000_000)
    }

    /// Has QEMU write the image that was begun, now that the guest stands still and its disks are diverted.
    package func writeImage(into stream: ImageStream) throws(HypervisorError) {
        // Otherwise the memory may be of an earlier instant than the disks.
        guard stream.isBlocked else {
            throw .failed("The image of \(machineName) was begun before its disks were diverted.")
        }
        stream.unblock()
    }

    /// Takes back what a preparation has set.
    package func forgetImage(bandwidth: UInt64?) {
        _ = try? execute(MonitorCommand.text("closefd", ["fdname": ImageDescriptor.name]))
        _ = set("background-snapshot", false)
        if let bandwidth { try? setBandwidth(bandwidth) }
    }

    /// Hands over the descriptor into which the image is written, or from which it is read; a former one is replaced.
    package func giveDescriptor(_ descriptor: Int32) throws(HypervisorError) {
        try execute(MonitorCommand.text("getfd", ["fdname": ImageDescriptor.name]), descriptor: descriptor)
    }

    /// Bytes per second of whatever QEMU migrates or saves.
    private func setBandwidth(_ limit: UInt64) throws(HypervisorError) {
        try execute(#"{"execute":"migrate-set-parameters","arguments":{"max-bandwidth":\#(limit)}}"#)
    }

    /// Sets a capability of migrations, and gives back why that was refused.
    package func set(_ capability: String, _ on: Bool) -> HypervisorError? {
        let command = """
            {"execute":"migrate-set-capabilities","arguments":{"capabilities":[\
            {"capability":"\(capability)","state":\(on)}]}}
            """
        // It cannot be changed while an image is still ending; that takes milliseconds.
        var last: HypervisorError?
        for _ in 0..<50 {
            do throws(HypervisorError) {
                try execute(command)
                return nil
            } catch {
                last = error
                guard case .failed(let text) = error, text.contains("migration") else { return error }
                usleep(10_000)
            }
        }
        return last
    }
}
