import Glibc

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

    /// Hands over the descriptor into which the image is written; one of the same name is replaced.
    package func giveDescriptor(_ descriptor: Int32, name: String) throws(HypervisorError) {
        try execute(MonitorCommand.text("getfd", ["fdname": name]), descriptor: descriptor)
    }

    /// Bytes per second of whatever QEMU migrates or saves.
    package func setBandwidth(_ limit: UInt64) throws(HypervisorError) {
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
