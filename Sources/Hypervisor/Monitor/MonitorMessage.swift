import FoundationEssentials

/// One event of QEMU, with what the drivers read of it.
package struct MonitorEvent: Sendable, Hashable {
    /// As in `STOP`, `RESUME`, `MIGRATION`, `BLOCK_JOB_READY`.
    package var name: String
    /// When it happened by QEMU's clock, which is the host's: nanoseconds since 1970.
    package var time: UInt64
    /// `data.status`, as of MIGRATION and JOB_STATUS_CHANGE.
    package var status: String?
    /// `data.id` or `data.device`: the job or the disk.
    package var subject: String?
    /// `data.error`, as of a block job that failed.
    package var error: String?
    /// `data.reason`, as of SHUTDOWN.
    package var reason: String?

    package init(
        name: String, time: UInt64, status: String? = nil, subject: String? = nil, error: String? = nil,
        reason: String? = nil
    ) {
        self.name = name
        self.time = time
        self.status = status
        self.subject = subject
        self.error = error
        self.reason = reason
    }
}

/// One line that QEMU writes to its monitor.
enum MonitorMessage: Sendable, Hashable {
    /// The first line: commands may follow.
    case greeting
    case event(MonitorEvent)
    /// An answer, with the number that the command had; QEMU leaves it out when it could not read the command.
    case reply(id: UInt64?, refusal: String?)
    /// Well-formed, and nothing that we know.
    case other
    /// No JSON: whoever writes this is not QEMU.
    case malformed

    private struct Line: Decodable {
        struct Time: Decodable {
            var seconds: Int64?
            var microseconds: Int64?
        }
        struct EventData: Decodable {
            var status: String?
            var id: String?
            var device: String?
            var error: String?
            var reason: String?

            enum CodingKeys: String, CodingKey { case status, id, device, error, reason }

            // Other events have other things under these names: they are then of no interest.
            init(from decoder: any Decoder) throws {
                let container = try decoder.container(keyedBy: CodingKeys.self)
                status = try? container.decode(String.self, forKey: .status)
                id = try? container.decode(String.self, forKey: .id)
                device = try? container.decode(String.self, forKey: .device)
                error = try? container.decode(String.self, forKey: .error)
                reason = try? container.decode(String.self, forKey: .reason)
            }
        }
        struct Refusal: Decodable { var desc: String }
        struct Anything: Decodable {
            init(from decoder: any Decoder) throws {}
        }

        var greeting: Anything?
        var event: String?
        var timestamp: Time?
        var data: EventData?
        var id: UInt64?
        var error: Refusal?
        var result: Anything?

        enum CodingKeys: String, CodingKey {
            case greeting = "QMP"
            case event, timestamp, data, id, error
            case result = "return"
        }
    }

    init(_ line: [UInt8]) {
        guard let line = try? JSONDecoder().decode(Line.self, from: Data(line)) else {
            self = .malformed
            return
        }
        if let name = line.event {
            let time = line.timestamp.map {
                MonitorAnswer.time(
                    seconds: $0.seconds ?? 0, micros: UInt32(min(max(0, $0.microseconds ?? 0), 999_999)))
            }
            self = .event(
                MonitorEvent(
                    name: name, time: time ?? 0, status: line.data?.status,
                    subject: line.data?.device ?? line.data?.id, error: line.data?.error, reason: line.data?.reason))
        } else if let error = line.error {
            self = .reply(id: line.id, refusal: error.desc)
        } else if line.result != nil {
            self = .reply(id: line.id, refusal: nil)
        } else {
            self = line.greeting == nil ? .other : .greeting
        }
    }
}
