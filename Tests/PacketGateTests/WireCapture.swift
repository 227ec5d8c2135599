import Packets
import Testing

@testable import PacketGate

/// Sees the IP packets that come into a desktop through one port of its bridge, as they are on the wire.
// SAFETY: used by one test, one step after the other.
final class WireCapture: @unchecked Sendable {
    private let handle: CaptureHandle
    private var segments: [[UInt8]] = []
    private var markers: [[UInt8]] = []

    init(on desktop: Desktop, port: String) throws {
        handle = try desktop.run {
            let handle = try CaptureHandle(interface: port)
            try handle.see(nothing: false)
            return Unshared(handle)
        }.value
    }

    /// Takes what has come up to now.
    func drain() {
        _ = handle.drain { frame in
            let isMarker = Marker.isCandidate(packet: UnsafeRawBufferPointer(rebasing: frame.dropFirst(14)))
            if isMarker { markers.append(Array(frame)) } else { segments.append(Array(frame)) }
        }
    }

    /// The first `count` frames of guests; fewer only after a long wait, and more if there are more.
    func frames(_ count: Int) async throws -> [[UInt8]] {
        _ = try await eventually {
            drain()
            return segments.count >= count
        }
        #expect(handle.lost == 0)
        return segments
    }

    /// The traffic classes of the first `count` markers.
    func markers(_ count: Int) async throws -> [UInt8] {
        _ = try await eventually {
            drain()
            return markers.count >= count
        }
        return markers.map(trafficClass)
    }
}

/// The TOS octet or traffic class of a frame's IP packet.
func trafficClass(of frame: [UInt8]) -> UInt8 {
    frame[14] >> 4 == 4 ? frame[15] : frame[14] << 4 | frame[15] >> 4
}
