import Foundation

enum JSONRendering {
    static func text(_ document: some Encodable) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        encoder.keyEncodingStrategy = .convertToSnakeCase
        guard let data = try? encoder.encode(document) else {
            preconditionFailure("The documents hold nothing that JSON cannot.")
        }
        return String(decoding: data, as: UTF8.self) + "\n"
    }
}
