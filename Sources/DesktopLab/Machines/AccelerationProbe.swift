import Foundation

/// Finds out whether KVM brings a guest as far as user space: the device node alone promises nothing, in nested
/// virtualization least of all.
enum AccelerationProbe {
    /// Seconds that a guest has; with a working KVM it needs about one.
    private static let deadline = 10

    /// The answer is kept for as long as this machine runs.
    static func accelerator(for image: GuestImage, namespace: String, folder: String) async throws -> Accelerator {
        guard access("/dev/kvm", R_OK | W_OK) == 0 else { return .tcg }
        let boot = try String(contentsOfFile: "/proc/sys/kernel/random/boot_id", encoding: .utf8)
            .trimmingCharacters(in: .whitespacesAndNewlines)
        let kept = "\(GuestImage.cache)/accelerator-\(boot)"
        if let answer = (try? String(contentsOfFile: kept, encoding: .utf8)).flatMap(Accelerator.init(rawValue:)) {
            return answer
        }
        let log = "\(folder)/probe.log"
        // In a namespace of the lab, so that `down` finds it if we die meanwhile.
        _ = try await Command.run([
            "ip", "netns", "exec", namespace, "timeout", "--signal=KILL", "\(deadline)", "qemu-system-x86_64",
            "-machine", "pc", "-accel", "kvm", "-cpu", "host", "-m", "128", "-nodefaults", "-display", "none",
            "-no-reboot", "-kernel", image.kernel, "-initrd", image.initrd, "-append",
            (DomainDescription.kernelOptions(.kvm) + ["hf.probe=1"]).joined(separator: " "), "-serial", "file:\(log)",
        ])
        let said = (try? String(contentsOfFile: log, encoding: .utf8)) ?? ""
        let answer: Accelerator = said.contains("HFPROBE") ? .kvm : .tcg
        try answer.rawValue.write(toFile: kept, atomically: true, encoding: .utf8)
        return answer
    }
}
