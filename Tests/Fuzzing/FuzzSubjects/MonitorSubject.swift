@testable import LibvirtHypervisor

enum MonitorSubject {
    static func run(_ bytes: [UInt8]) throws {
        let answer = String(decoding: bytes, as: UTF8.self)
        _ = MonitorAnswer.error(in: answer)
        _ = MonitorAnswer.runState(in: answer)
        _ = MonitorAnswer.migration(in: answer)
        _ = MonitorAnswer.blockers(in: answer)
    }
}
