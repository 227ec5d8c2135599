/// An element of a document, with all that is inside of it. A reference: what is changed is changed in the document.
package final class MarkupElement {
    package struct Attribute: Sendable, Hashable {
        package let name: String
        package var value: String
    }

    package enum Node {
        case element(MarkupElement)
        /// Never empty, and never beside another.
        case text(String)
    }

    /// With its prefix, if it has one.
    package let name: String
    package private(set) var attributes: [Attribute]
    package private(set) var content: [Node] = []

    package init(_ name: String, _ attributes: KeyValuePairs<String, String> = [:], _ children: [MarkupElement] = []) {
        self.name = name
        self.attributes = attributes.map { Attribute(name: $0.key, value: $0.value) }
        content = children.map(Node.element)
    }

    init(_ name: String, attributes: [String: String]) {
        self.name = name
        self.attributes = attributes.sorted { $0.key < $1.key }.map { Attribute(name: $0.key, value: $0.value) }
    }

    /// The value of an attribute. One that is new comes after the others.
    package subscript(attribute: String) -> String? {
        get { attributes.first { $0.name == attribute }?.value }
        set {
            let place = attributes.firstIndex { $0.name == attribute }
            switch (place, newValue) {
            case (let place?, let value?): attributes[place].value = value
            case (let place?, nil): attributes.remove(at: place)
            case (nil, let value?): attributes.append(Attribute(name: attribute, value: value))
            case (nil, nil): break
            }
        }
    }

    // MARK: Looking

    /// The elements at the end of a path of names below this one.
    package func elements(_ path: String...) -> [MarkupElement] { elements(at: path) }

    /// The first of them.
    package func element(_ path: String...) -> MarkupElement? { elements(at: path).first }

    private func elements(at path: [String]) -> [MarkupElement] {
        path.reduce([self]) { found, name in found.flatMap { $0.children.filter { $0.name == name } } }
    }

    private var children: [MarkupElement] {
        content.compactMap { node in
            if case .element(let child) = node { child } else { nil }
        }
    }

    /// All the text inside, also that of elements, as XPath has it. What is set stands in the place of all content.
    package var text: String {
        get {
            var text = ""
            collect(into: &text)
            return text
        }
        set { content = newValue.isEmpty ? [] : [.text(newValue)] }
    }

    private func collect(into text: inout String) {
        for node in content {
            switch node {
            case .element(let child): child.collect(into: &text)
            case .text(let part): text += part
            }
        }
    }

    // MARK: Changing

    package func append(_ child: MarkupElement) { content.append(.element(child)) }

    func append(_ text: String) { content.append(.text(text)) }

    /// Takes out the elements of that name right inside of this one.
    package func remove(_ name: String, where isWanted: (MarkupElement) -> Bool = { _ in true }) {
        content.removeAll { node in
            if case .element(let child) = node { child.name == name && isWanted(child) } else { false }
        }
    }
}
