import Glibc

/// What the lab asks of this guest: words such as `hf.index=2` on the kernel command line.
struct Settings {
    /// Place of this guest, from 1.
    var index = 1
    var members = 1
    var nics = 1
    /// Bytes a second, in each direction of each bulk connection.
    var rate: UInt64 = 131_072
    /// Between two exchanges of a ping-pong.
    var pingInterval: UInt64 = 20_000_000
    /// Between two portions of a bulk stream.
    var bulkInterval: UInt64 = 20_000_000
    var reportInterval: UInt64 = 100_000_000
    /// Between a restore and the first report after it.
    var reportDelay: UInt64 = 400_000_000
    /// Between two records on the disk.
    var diskInterval: UInt64 = 50_000_000
    /// Whether the pairs whose indices have an odd sum talk IPv6.
    var mixesFamilies = true

    init(commandLine: String) {
        for word in commandLine.split(whereSeparator: { $0 == " " || $0 == "\n" }) {
            let parts = word.split(separator: "=", maxSplits: 1)
            guard parts.count == 2, let value = UInt64(parts[1]) else { continue }
            switch parts[0] {
            case "hf.index": index = Int(value)
            case "hf.members": members = Int(value)
            case "hf.nics": nics = max(1, Int(value))
            case "hf.rate": rate = value
            case "hf.ping": pingInterval = value * 1_000_000
            case "hf.bulk": bulkInterval = value * 1_000_000
            case "hf.report": reportInterval = value * 1_000_000
            case "hf.disk": diskInterval = value * 1_000_000
            case "hf.ipv6": mixesFamilies = value != 0
            default: continue
            }
        }
    }

    static func ofKernel() -> Settings {
        let file = open("/proc/cmdline", O_RDONLY)
        guard file >= 0 else { return Settings(commandLine: "") }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = read(file, &bytes, bytes.count)
        return Settings(commandLine: String(decoding: bytes.prefix(max(0, count)), as: UTF8.self))
    }
}
