import FoundationEssentials
import Glibc

/// A folder for subjects that read files: in memory where there is such a file system, and one for each process.
enum ScratchFolder {
    static let path: String = {
        let parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"
        let path = "\(parent)/holdfast-fuzz-\(getpid())"
        mkdir(path, 0o700)
        atexit { try? FileManager.default.removeItem(atPath: ScratchFolder.path) }
        return path
    }()

    /// Writes a file that is not kept for longer than the next one of its name.
    static func write(_ bytes: [UInt8], to name: String) throws -> String {
        let file = "\(path)/\(name)"
        let descriptor = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        let written = descriptor >= 0 ? Glibc.write(descriptor, bytes, bytes.count) : -1
        if descriptor >= 0 { close(descriptor) }
        try Broken.unless(written == bytes.count, "There is no room for \(file).")
        return file
    }
}

/// Waits for what is asynchronous, as a fuzzer's one thread must.
func waiting<Value: Sendable>(for body: @escaping @Sendable () async -> Value) -> Value {
    let box = Box<Value>()
    Task.detached {
        box.value = await body()
        sem_post(box.semaphore)
    }
    while sem_wait(box.semaphore) != 0 {}
    guard let value = box.value else { preconditionFailure("The task ended without a value.") }
    return value
}

// SAFETY: written before the semaphore is raised, and read after it.
private final class Box<Value>: @unchecked Sendable {
    var value: Value?
    let semaphore = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)

    init() { sem_init(semaphore, 0, 0) }

    deinit {
        sem_destroy(semaphore)
        semaphore.deallocate()
    }
}
