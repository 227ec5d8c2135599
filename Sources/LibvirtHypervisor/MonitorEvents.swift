import CLibvirt
import Dispatch
import Hypervisor
import NIOConcurrencyHelpers

/// When QEMU itself says that a guest stopped and ran again, for one domain and one cut.
///
/// Timestamps come from QEMU's events, so that the time our own calls take on their way is not counted as pause.
final class MonitorEvents: Sendable {
    struct Moments: Sendable {
        /// Nanoseconds since 1970.
        var stopped: UInt64?
        var resumed: UInt64?
    }

    private let moments = NIOLockedValueBox(Moments())
    private let connection: LibvirtConnection.Handle
    private let resumed = DispatchSemaphore(value: 0)
    private let registration = NIOLockedValueBox<Int32>(-1)

    /// Subscribes. The registration ends with `cancel`, which must be called.
    init(of domain: borrowing LibvirtDomain) throws(HypervisorError) {
        connection = domain.connection
        let context = Unmanaged.passRetained(self).toOpaque()
        let id = virConnectDomainQemuMonitorEventRegister(
            connection.pointer, domain.pointer, nil,
            { _, _, event, seconds, micros, _, context in
                guard let event, let context else { return }
                let events = Unmanaged<MonitorEvents>.fromOpaque(context).takeUnretainedValue()
                events.saw(String(cString: event), at: MonitorAnswer.time(seconds: Int64(seconds), micros: micros))
            },
            context,
            { context in
                guard let context else { return }
                Unmanaged<MonitorEvents>.fromOpaque(context).release()
            },
            0)
        guard id >= 0 else {
            Unmanaged<MonitorEvents>.fromOpaque(context).release()
            throw LibvirtFailure.last().error(doing: "subscribe to the events of \(domain.name)")
        }
        registration.withLockedValue { $0 = id }
    }

    private func saw(_ event: String, at time: UInt64) {
        moments.withLockedValue { moments in
            switch event {
            case "STOP": moments.stopped = moments.stopped ?? time
            case "RESUME":
                guard moments.stopped != nil, moments.resumed == nil else { return }
                moments.resumed = time
                resumed.signal()
            default: break
            }
        }
    }

    /// Blocks until QEMU has said that the guest runs again, or for that long. True at most once.
    func waitUntilResumed(milliseconds: Int) -> Bool {
        resumed.wait(timeout: .now() + .milliseconds(milliseconds)) == .success
    }

    var seen: Moments { moments.withLockedValue { $0 } }

    func cancel() {
        let id = registration.withLockedValue { id in
            defer { id = -1 }
            return id
        }
        if id >= 0 { virConnectDomainQemuMonitorEventDeregister(connection.pointer, id) }
    }
}
