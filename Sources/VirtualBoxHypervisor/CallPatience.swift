/// How long calls of VBoxManage may take; one that takes longer is ended.
package struct CallPatience: Sendable, Hashable {
    package var look = Duration.seconds(20)
    package var control = Duration.seconds(20)
    /// A resume takes milliseconds, and somebody waits for it.
    package var resume = Duration.seconds(8)
    /// The guest's whole memory is written meanwhile.
    package var save = Duration.seconds(600)
    /// What the guest wrote since the cut is merged meanwhile.
    package var merge = Duration.seconds(3600)

    package init() {}
}
