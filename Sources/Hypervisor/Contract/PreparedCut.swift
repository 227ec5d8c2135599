/// How a driver takes the image.
package enum CutMethod: Sendable, Hashable, CustomStringConvertible {
    /// The guest runs again at once; the image is of the moment of the cut and follows behind.
    case background
    /// The guest stays paused until its image is saved, for the stated reason.
    case paused(reason: String)

    package var description: String {
        switch self {
        case .background: "background"
        case .paused(let reason): "paused: \(reason)"
        }
    }
}

package struct CutTimes: Sendable, Hashable {
    /// Wall clock of this host, nanoseconds since 1970.
    package var startedAt: UInt64
    package var endedAt: UInt64
    /// Nanoseconds for which the guest did not run.
    package var pause: UInt64

    package init(startedAt: UInt64, endedAt: UInt64, pause: UInt64) {
        self.startedAt = startedAt
        self.endedAt = endedAt
        self.pause = pause
    }
}

/// Where a driver puts a stream of bytes, in order. Called on one thread at a time; may block; throws to give up, and is
/// not called again after that.
package protocol ByteSink: AnyObject, Sendable {
    func write(_ bytes: UnsafeRawBufferPointer) throws
}

/// A disk as it stood at the cut: immutable until `finish` or `abandon`.
package struct FrozenDisk: Sendable, Hashable {
    package var target: String
    /// The topmost file of the frozen chain.
    package var path: String
    package var format: String

    package init(target: String, path: String, format: String) {
        self.target = target
        self.path = path
        self.format = format
    }
}

/// A small file of the VM beside its disks as it stood at the cut, such as its firmware's variables: a copy, immutable
/// until `finish` or `abandon`.
package struct FrozenFile: Sendable, Hashable {
    /// What it is, as `LoadRequest.files` names it when the VM is loaded.
    package var name: String
    package var path: String

    package init(name: String, path: String) {
        self.name = name
        self.path = path
    }
}

/// One cut of one VM, from its preparation to its end. Exactly one of `finish` and `abandon` ends it; both may be
/// called in any state and order, any number of times and at once, and after either the VM runs, unless its process is
/// gone. The first one counts, and each returns only once the cut has ended.
package protocol PreparedCut: Sendable {
    var method: CutMethod { get }

    /// Freezes CPU, memory, devices and all disks at one instant, calls `whileFrozen` while nothing of the guest runs,
    /// and lets the guest run again as early as the method allows.
    ///
    /// Atomic: it succeeds and there is one instant to which image, disks and further files belong, or it throws (also
    /// when `whileFrozen` throws or the sink has failed), there is no cut, and the guest runs. Made once: a second call,
    /// or one after an end, throws.
    func perform(whileFrozen: @escaping @Sendable () throws -> Void) async throws(HypervisorError) -> CutTimes

    /// Waits until the whole image has been written into the sink that was given at preparation. Called once the
    /// gates are open: until then the image leaves the processor to the cuts of others, from here on it moves at full
    /// speed. Throws when the image is not whole, and before `perform`; the guest runs on.
    func imageComplete() async throws(HypervisorError)

    /// The disks as they stood at the cut, those that are only read left out. Empty before `perform`.
    var frozenDisks: [FrozenDisk] { get }

    /// The further files as they stood at the cut. Empty before `perform`.
    var frozenFiles: [FrozenFile] { get }

    /// The image and the disks are stored: gives the VM its own disks back, with what was written meanwhile. When it
    /// returns, the VM runs and nothing is read from it any more; the disks may still be merged, see `settled`.
    func finish() async

    /// Gives the epoch up: cancels the image and gives the VM its own disks back, with what was written meanwhile. As
    /// `finish`, also when it returns.
    func abandon() async

    /// Waits, after an end, until the VM has its own disks back and nothing of the cut is left. Nobody need wait for it: a
    /// next cut of the VM does by itself, and what an agent that dies meanwhile leaves is in the journal.
    func settled() async
}

extension PreparedCut {
    package var frozenFiles: [FrozenFile] { [] }

    package func settled() async {}
}
