import Glibc

/// Records written to the disk in step with memory, in a thread of its own so that a slow disk does not silence the
/// network.
///
/// Record n goes to slot n % slots, of each disk in turn, from `vda`. Before it is
/// written, the records around it are read back: those just written must be there (else the disk is older than memory),
/// and those to be overwritten next must not be (else it is younger).
final class DiskJournal {
    struct Status {
        var sequence: UInt64 = 0
        var mismatches: UInt64 = 0
        /// errno of what ended the journal, or 0.
        var failure: Int32 = 0
    }

    private static let slot = 512
    private static let slots: UInt64 = 1024
    private static let reach: UInt64 = 8
    /// O_DIRECT asks for buffers and offsets aligned to the device's blocks.
    private static let alignment = 4096
    private static let directAccess: Int32 = 0o40000

    private let interval: UInt64
    private let lock: UnsafeMutablePointer<pthread_mutex_t>
    private let window: UnsafeMutableRawPointer
    private let record: UnsafeMutableRawPointer
    private var shared = Status()

    init(interval: UInt64) {
        self.interval = interval
        lock = .allocate(capacity: 1)
        pthread_mutex_init(lock, nil)
        window = .allocate(
            byteCount: DiskJournal.slot * Int(DiskJournal.reach * 2), alignment: DiskJournal.alignment)
        record = .allocate(byteCount: 65_536, alignment: DiskJournal.alignment)
        memset(record, 0, 65_536)
    }

    func start() {
        var thread = pthread_t()
        // The journal lives as long as the process.
        let context = Unmanaged.passRetained(self).toOpaque()
        let entry: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = {
            Unmanaged<DiskJournal>.fromOpaque($0!).takeUnretainedValue().run()
            return nil
        }
        pthread_create(&thread, nil, entry, context)
    }

    var status: Status {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        return shared
    }

    private func publish(_ change: (inout Status) -> Void) {
        pthread_mutex_lock(lock)
        change(&shared)
        pthread_mutex_unlock(lock)
    }

    private func run() {
        // Behind the network: on Linux this is of the thread alone.
        setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, 19)
        let first = open("/dev/vda", O_RDWR | DiskJournal.directAccess)
        guard first >= 0 else { return publish { $0.failure = errno } }
        let others = "bcdefgh".map { open("/dev/vd\($0)", O_RDWR | DiskJournal.directAccess) }
        let disks = [first] + others.filter { $0 >= 0 }
        for disk in disks {
            for offset in stride(from: 0, to: DiskJournal.slot * Int(DiskJournal.slots), by: 65_536) {
                guard pwrite(disk, record, 65_536, off_t(offset)) == 65_536 else {
                    return publish { $0.failure = errno }
                }
            }
        }
        var sequence: UInt64 = 0
        var due = monotonicNow()
        while true {
            sequence += 1
            var wrong: UInt64 = 0
            for disk in disks {
                guard let found = wrongRecords(disk, before: sequence), write(disk, sequence) else {
                    return publish { $0.failure = errno }
                }
                wrong += found
            }
            publish {
                $0.sequence = sequence
                $0.mismatches += wrong
            }
            let now = monotonicNow()
            due = max(due + interval, now)
            if due > now { usleep(UInt32((due - now) / 1000)) }
        }
    }

    private func write(_ disk: Int32, _ sequence: UInt64) -> Bool {
        record.storeBytes(of: sequence, as: UInt64.self)
        record.storeBytes(of: Pattern.mix(sequence), toByteOffset: 8, as: UInt64.self)
        let offset = off_t(sequence % DiskJournal.slots) * off_t(DiskJournal.slot)
        return pwrite(disk, record, DiskJournal.slot, offset) == DiskJournal.slot
    }

    /// How many of the slots around the place of `sequence` do not hold what memory says; nil if they cannot be read.
    private func wrongRecords(_ disk: Int32, before sequence: UInt64) -> UInt64? {
        let count = DiskJournal.reach * 2
        let first = (sequence + DiskJournal.slots - DiskJournal.reach) % DiskJournal.slots
        let whole = min(count, DiskJournal.slots - first)
        guard readSlots(disk, first, whole, at: 0), readSlots(disk, 0, count - whole, at: whole) else { return nil }
        var wrong: UInt64 = 0
        for place in 0..<count {
            let start = Int(place) * DiskJournal.slot
            let found = window.load(fromByteOffset: start, as: UInt64.self)
            let check = window.load(fromByteOffset: start + 8, as: UInt64.self)
            // The last record below `sequence` that belongs into this slot: of this lap, or of the one before.
            let lap = sequence + place
            let ofThisLap = place < DiskJournal.reach
            let expected: UInt64
            if ofThisLap {
                expected = lap > DiskJournal.reach ? lap - DiskJournal.reach : 0
            } else {
                let back = DiskJournal.reach + DiskJournal.slots
                expected = lap > back ? lap - back : 0
            }
            if found != expected || check != (expected == 0 ? 0 : Pattern.mix(expected)) { wrong += 1 }
        }
        return wrong
    }

    private func readSlots(_ disk: Int32, _ first: UInt64, _ count: UInt64, at place: UInt64) -> Bool {
        let bytes = Int(count) * DiskJournal.slot
        guard bytes > 0 else { return true }
        return pread(
            disk, window + Int(place) * DiskJournal.slot, bytes, off_t(first) * off_t(DiskJournal.slot)) == bytes
    }
}
