extension String {
    /// Without what a terminal would obey: names and messages come from guests' owners and from other machines. Line
    /// breaks stay.
    var forTerminal: String {
        var text = ""
        for scalar in unicodeScalars {
            let isObeyed = scalar.properties.generalCategory == .control && scalar != "\n"
            text.unicodeScalars.append(isObeyed ? "\u{FFFD}" : scalar)
        }
        return text
    }
}
