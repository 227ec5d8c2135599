/// How a tree becomes text that is read back as the same tree.
///
/// XML has no way to write most control characters. One that a program put into a tree is written as it is, and whoever
/// reads the text refuses it.
extension MarkupElement {
    /// This element alone, without a declaration.
    package var xml: String {
        var text = ""
        write(to: &text)
        return text
    }

    private func write(to text: inout String) {
        text += "<\(name)"
        for attribute in attributes { text += " \(attribute.name)=\"\(MarkupEscape.attribute(attribute.value))\"" }
        guard !content.isEmpty else { return text += "/>" }
        text += ">"
        for node in content {
            switch node {
            case .element(let child): child.write(to: &text)
            case .text(let part): text += MarkupEscape.text(part)
            }
        }
        text += "</\(name)>"
    }
}

/// By scalars: to a comparison of characters a combining mark hides what it follows.
package enum MarkupEscape {
    /// Between tags. A carriage return would be read as the end of a line.
    package static func text(_ text: String) -> String {
        text.unicodeScalars.reduce(into: "") { result, scalar in
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\r": result += "&#13;"
            default: result.unicodeScalars.append(scalar)
            }
        }
    }

    /// Between quotes of either kind, where other white space than spaces would be read as spaces.
    package static func attribute(_ value: String) -> String {
        text(value).unicodeScalars.reduce(into: "") { result, scalar in
            switch scalar {
            case "\"": result += "&quot;"
            case "'": result += "&apos;"
            case "\n": result += "&#10;"
            case "\t": result += "&#9;"
            default: result.unicodeScalars.append(scalar)
            }
        }
    }
}
