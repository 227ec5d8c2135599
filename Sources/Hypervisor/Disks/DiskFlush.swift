import Dispatch
import Glibc

/// Has the kernel write what it still holds of a VM's disks, while the guest runs: QEMU waits for that whenever it stops a
/// guest, and the guest would stand still for as long.
package enum DiskFlush {
    /// What fails here fails in QEMU too, which says so.
    package static func flush(_ paths: [String]) async {
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            // A serial queue of its own is given a thread of its own.
            DispatchQueue(label: "holdfast.flush").async {
                for path in paths {
                    let file = open(path, O_RDONLY | O_CLOEXEC)
                    guard file >= 0 else { continue }
                    fdatasync(file)
                    close(file)
                }
                continuation.resume()
            }
        }
    }
}
