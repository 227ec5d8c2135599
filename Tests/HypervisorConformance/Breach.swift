/// An obligation that was not met, and what was seen instead.
package struct Breach: Error, CustomStringConvertible {
    package var description: String

    package init(_ description: String) { self.description = description }
}
