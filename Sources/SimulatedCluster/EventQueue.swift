import SnapshotProtocol

/// What happens next in the simulated world. Only numbers, so that the queue never allocates per event.
enum Happening {
    case start
    case write(from: UInt8, to: UInt8)
    case datagram(from: UInt8, to: UInt8)
    case retransmit(from: UInt8, to: UInt8, una: UInt16)
    case arrive(packet: Int32, coloured: Bool)
    /// `foreign`: with the key of another epoch.
    case marker(from: UInt8, to: UInt8, MarkerKind, coloured: Bool, foreign: Bool)
    /// An agent that runs again takes what its queues kept for it.
    case ingressTurn(host: UInt8)
    case egressTurn(host: UInt8, member: UInt8)
    case command(host: UInt8, message: Int32, session: UInt16)
    case report(host: UInt8, message: Int32, session: UInt16)
    case work(host: UInt8, Work, member: UInt8, generation: UInt16)
    case hostTick(host: UInt8, number: UInt16)
    case managerTick
    case watchdog(host: UInt8, generation: UInt16)
    case manifest
    case managerNotices(host: UInt8, session: UInt16)
    case hostNotices(host: UInt8, session: UInt16)
    case dial(host: UInt8)
    case hello(host: UInt8, session: UInt16)
    case guestResumes(member: UInt8)
    case restoreCommand(host: UInt8, message: Int32, session: UInt16)
    case restoreReport(host: UInt8, message: Int32, session: UInt16)
    case restoreWork(host: UInt8, RestoreWork, member: UInt8, generation: UInt16)
    case restoreTick
    case restoreFault(UInt8)
    case abandonedSend(from: UInt8, to: UInt8)
    case abandonedArrive(to: UInt8)
    case fault(UInt8)
    case agentRestarts(host: UInt8)
    case managerRestarts

    /// The agent whose process must run for this to happen.
    var agent: Int? {
        switch self {
        case .command(let host, _, _), .work(let host, _, _, _), .hostTick(let host, _), .watchdog(let host, _),
            .hostNotices(let host, _), .dial(let host), .restoreCommand(let host, _, _),
            .restoreWork(let host, _, _, _), .ingressTurn(let host), .egressTurn(let host, _):
            Int(host)
        default: nil
        }
    }

    /// Whether the manager's process must run for this to happen.
    var isManagers: Bool {
        switch self {
        case .start, .report, .managerTick, .manifest, .managerNotices, .hello, .restoreReport, .restoreTick: true
        default: false
        }
    }
}

/// The completion of what a participant asked its driver for.
enum Work: String {
    case prepared, armed, armedLate, cutBegun, frozen, thawed, placeNoted, released, stored, finished, abandoned, opened
}

struct Event {
    var time: UInt64
    /// Breaks ties: what was scheduled first happens first.
    var order: UInt32
    var what: Happening
}

/// A binary heap of events.
struct EventQueue {
    private var heap: [Event] = []
    private var scheduled: UInt32 = 0

    init() { heap.reserveCapacity(256) }

    mutating func push(_ what: Happening, at time: UInt64) {
        scheduled += 1
        heap.append(Event(time: time, order: scheduled, what: what))
        heap.withUnsafeMutableBufferPointer { heap in
            var child = heap.count - 1
            let event = heap[child]
            while child > 0 {
                let parent = (child - 1) >> 1
                guard Self.precedes(event, heap[parent]) else { break }
                heap[child] = heap[parent]
                child = parent
            }
            heap[child] = event
        }
    }

    mutating func pop() -> Event? {
        guard let first = heap.first, let last = heap.popLast() else { return nil }
        guard !heap.isEmpty else { return first }
        heap.withUnsafeMutableBufferPointer { heap in
            var parent = 0
            while true {
                var child = 2 * parent + 1
                guard child < heap.count else { break }
                if child + 1 < heap.count, Self.precedes(heap[child + 1], heap[child]) { child += 1 }
                guard Self.precedes(heap[child], last) else { break }
                heap[parent] = heap[child]
                parent = child
            }
            heap[parent] = last
        }
        return first
    }

    @inline(__always)
    private static func precedes(_ left: Event, _ right: Event) -> Bool {
        left.time != right.time ? left.time < right.time : left.order < right.order
    }
}
