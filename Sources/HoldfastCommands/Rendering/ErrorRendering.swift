import SnapshotProtocol

/// Errors, on standard error.
enum ErrorRendering {
    private struct Document: Encodable {
        struct Details: Encodable {
            let code: String
            let message: String
            /// All of them, when there is more than one.
            let failures: [FailureDocument]?
        }

        let error: Details
    }

    /// `failures` must not be empty; the first gives the code.
    static func render(_ failures: [Failure], as format: OutputFormat) -> String {
        switch format {
        case .table: failures.map { "holdfast: \($0)\n" }.joined().forTerminal
        case .json:
            JSONRendering.text(
                Document(
                    error: .init(
                        code: failures[0].code.rawValue,
                        message: failures.map(\.description).joined(separator: " "),
                        failures: failures.count > 1 ? failures.map(FailureDocument.init) : nil)))
        }
    }
}
