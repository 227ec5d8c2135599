@testable import Hypervisor

enum MonitorSubject {
    static func run(_ bytes: [UInt8]) throws {
        let answer = String(decoding: bytes, as: UTF8.self)
        _ = MonitorAnswer.error(in: answer)
        _ = MonitorAnswer.runState(in: answer)
        _ = MonitorAnswer.migration(in: answer)
        _ = MonitorAnswer.blockers(in: answer)
        _ = MonitorAnswer.bandwidth(in: answer)
        guard bytes.count == 12 else { return }
        // An event's time of day, as libvirt hands it on.
        let (seconds, micros) = bytes.withUnsafeBytes {
            ($0.loadUnaligned(as: Int64.self), $0.loadUnaligned(fromByteOffset: 8, as: UInt32.self))
        }
        let time = MonitorAnswer.time(seconds: seconds, micros: micros)
        try Broken.unless(
            time == .max || seconds < 0 || time / 1_000_000_000 >= UInt64(seconds), "A time is earlier than it is.")
    }
}
