import Foundation

/// How long guests stand still, in one run: by Holdfast, and by libvirt's own snapshot with memory, which is what one
/// would use instead on a single guest.
package struct PauseBenchmark: Sendable {
    package struct Result: Codable, Sendable {
        /// MiB of memory of each guest.
        package var memory: Int
        /// Milliseconds, of each guest and snapshot.
        package var pauses: [Double]
        /// From arm to release, milliseconds, of each guest and snapshot.
        package var holds: [Double]
        /// The longest silence that a guest's application noticed during libvirt's own snapshot, in milliseconds of
        /// guest time, one value a snapshot; none where the guests are not libvirt's.
        package var libvirtSilences: [Double]

        package var pauseMedian: Double { median(pauses) }
        package var holdMedian: Double { median(holds) }
        package var libvirtMedian: Double { median(libvirtSilences) }

        enum CodingKeys: String, CodingKey {
            case memory = "memory_mib"
            case pauses = "pause_ms"
            case holds = "hold_ms"
            case libvirtSilences = "libvirt_pause_ms"
        }
    }

    private let lab: Lab
    private let rounds: Int
    private let say: @Sendable (String) -> Void

    package init(lab: Lab, rounds: Int, say: @escaping @Sendable (String) -> Void) {
        self.lab = lab
        self.rounds = rounds
        self.say = say
    }

    package func run() async throws -> Result {
        let exercise = ClusterExercise(lab: lab, cluster: "bench")
        try await exercise.createCluster()
        var result = Result(memory: lab.configuration.memory, pauses: [], holds: [], libvirtSilences: [])
        for round in 1...rounds {
            let snapshot = try await exercise.snapshot()
            result.pauses += snapshot.members.map(\.pauseMilliseconds)
            result.holds += snapshot.members.map(\.holdMilliseconds)
            _ = try await lab.holdfast(["snapshot", "delete", snapshot.id])
            if lab.configuration.hypervisor == .libvirt { result.libvirtSilences.append(try await libvirtPause()) }
            say("\(lab.configuration.memory) MiB, round \(round) of \(rounds)")
        }
        return result
    }

    /// `virsh save` and `restore` would end the guest; the stock way that keeps it is an external checkpoint of memory
    /// and disks, during which libvirt pauses the guest. Measured by QEMU's own events.
    private func libvirtPause() async throws -> Double {
        guard let machine = lab.machines.first, let desktop = lab.desktops(running: machine.name).first else {
            throw LabError.unknownMachine("vm-1")
        }
        let folder = lab.folders.root
        let image = "\(folder)/stock.mem"
        let overlay = "\(folder)/stock.overlay.qcow2"
        async let watched = lab.virsh(
            [
                "qemu-monitor-event", machine.name, "--regex", "--event", "STOP|RESUME", "--loop", "--timeout", "8",
                "--timestamp",
            ], desktop: desktop)
        try await Task.sleep(for: .milliseconds(500))
        let taken = try await lab.virsh(
            [
                "snapshot-create-as", machine.name, "--no-metadata", "--memspec", "file=\(image),snapshot=external",
                "--diskspec", "vda,file=\(overlay)", "--atomic",
            ], desktop: desktop)
        guard taken.succeeded else {
            throw LabError.commandFailed(
                "virsh snapshot-create-as", status: "\(taken.status)", detail: taken.standardError)
        }
        _ = try await lab.virsh(
            ["blockcommit", machine.name, "vda", "--active", "--shallow", "--pivot", "--wait"], desktop: desktop)
        let events = try await watched.standardOutput
        for file in [image, overlay] { try? FileManager.default.removeItem(atPath: file) }
        return try Self.pause(in: events)
    }

    /// Milliseconds from the first STOP to the RESUME after it, in lines that begin with a time of day.
    static func pause(in events: String) throws -> Double {
        func seconds(_ line: Substring) -> Double? {
            let time = line.split(separator: " ").first { $0.contains(":") && $0.contains(".") } ?? ""
            let fields = time.split(separator: ":").compactMap { Double($0.prefix { $0.isNumber || $0 == "." }) }
            return fields.count == 3 ? fields[0] * 3600 + fields[1] * 60 + fields[2] : nil
        }
        let lines = events.split(separator: "\n")
        guard let stopLine = lines.firstIndex(where: { $0.contains("STOP") }), let stop = seconds(lines[stopLine]),
            let resumeLine = lines[stopLine...].firstIndex(where: { $0.contains("RESUME") }),
            let resume = seconds(lines[resumeLine])
        else { throw LabError.timedOut("QEMU's STOP and RESUME", detail: events) }
        return (resume - stop) * 1_000
    }

    package static func table(_ results: [Result]) -> String {
        var lines = ["  guest memory   pause (median)   arm to release (median)   libvirt's own snapshot   ratio"]
        for result in results {
            lines.append(
                String(
                    format: "  %7d MiB   %11.1f ms   %20.1f ms   %19.1f ms   %5.1f", result.memory,
                    result.pauseMedian, result.holdMedian, result.libvirtMedian,
                    result.libvirtMedian / max(result.pauseMedian, 0.001)))
        }
        return lines.joined(separator: "\n")
    }
}

private func median(_ values: [Double]) -> Double {
    let sorted = values.sorted()
    guard !sorted.isEmpty else { return 0 }
    let middle = sorted.count / 2
    return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}
