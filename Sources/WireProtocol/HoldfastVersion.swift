/// The version of the software, the same for everything that is built from one checkout.
package enum HoldfastVersion {
    package static let current = "0.1.0"
}
