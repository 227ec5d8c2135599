import FoundationEssentials

/// Decodes the few QMP answers that the drivers read.
package enum MonitorAnswer {
    private struct Envelope: Decodable {
        struct Refusal: Decodable { var desc: String }
        var error: Refusal?
    }

    private struct StatusEnvelope: Decodable {
        struct Status: Decodable { var status: String }
        var `return`: Status
    }

    private struct MigrationEnvelope: Decodable {
        struct Migration: Decodable {
            var status: String?
            var errorDescription: String?
            var blockers: [String]?

            enum CodingKeys: String, CodingKey {
                case status
                case blockers = "blocked-reasons"
                case errorDescription = "error-desc"
            }
        }
        var `return`: Migration
    }

    private struct ParametersEnvelope: Decodable {
        struct Parameters: Decodable {
            var bandwidth: UInt64?

            enum CodingKeys: String, CodingKey { case bandwidth = "max-bandwidth" }
        }
        var `return`: Parameters
    }

    /// The limit in the answer to `query-migrate-parameters`, in bytes per second.
    package static func bandwidth(in answer: String) -> UInt64? {
        (try? JSONDecoder().decode(ParametersEnvelope.self, from: Data(answer.utf8)))?.return.bandwidth
    }

    /// The text of a refusal, if the answer is one.
    package static func error(in answer: String) -> String? {
        (try? JSONDecoder().decode(Envelope.self, from: Data(answer.utf8)))?.error?.desc
    }

    /// The run state in the answer to `query-status`.
    package static func runState(in answer: String) -> String? {
        (try? JSONDecoder().decode(StatusEnvelope.self, from: Data(answer.utf8)))?.return.status
    }

    /// Status and error of the answer to `query-migrate`.
    package static func migration(in answer: String) -> (status: String, error: String?) {
        let decoded = try? JSONDecoder().decode(MigrationEnvelope.self, from: Data(answer.utf8))
        return (decoded?.return.status ?? "none", decoded?.return.errorDescription)
    }

    /// Why QEMU would refuse to save the VM, from the answer to `query-migrate`.
    package static func blockers(in answer: String) -> [String] {
        (try? JSONDecoder().decode(MigrationEnvelope.self, from: Data(answer.utf8)))?.return.blockers ?? []
    }

    private struct MemoryEnvelope: Decodable {
        struct Migration: Decodable { var ram: Memory? }
        struct Memory: Decodable {
            var normal: Int64?
            var duplicate: Int64?
        }
        var `return`: Migration
    }

    /// Whether the answer to `query-migrate` tells of pages of memory in the image.
    package static func hasCapturedPages(in answer: String) -> Bool {
        let memory = (try? JSONDecoder().decode(MemoryEnvelope.self, from: Data(answer.utf8)))?.return.ram
        return memory?.normal ?? 0 > 0 || memory?.duplicate ?? 0 > 0
    }

    /// Nanoseconds since 1970. Of the time in an event. QEMU says what it likes, also if a guest has taken it over.
    package static func time(seconds: Int64, micros: UInt32) -> UInt64 {
        let (nanoseconds, overflow) = UInt64(max(0, seconds)).multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, late) = nanoseconds.addingReportingOverflow(UInt64(micros) * 1_000)
        return overflow || late ? .max : sum
    }
}
