/// One sealed snapshot in a list.
package struct SnapshotListing: Sendable {
    package let id: String
    /// Its manifest, or why that cannot be used: `damaged`, `manifestVersion`, `io`.
    package let manifest: Result<SnapshotManifest, StoreError>
}
