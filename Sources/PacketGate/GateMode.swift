/// How the gates of an epoch keep segments from crossing the cut backwards.
package enum GateMode: Hashable, Sendable {
    /// What members emit is held until all have cut.
    case hold
    /// What members emit goes on at once; after their cut it carries the colour, and waits before members that are not
    /// cut yet.
    case colour
}
