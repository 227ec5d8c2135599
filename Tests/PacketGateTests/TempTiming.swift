import Packets
import Testing

@testable import PacketGate

extension GateTests {
    @Test func timing() async throws {
        let desktop = try Desktop()
        let guests = try (1...4).map { try Guest("g\($0)", number: UInt8($0), on: desktop) }
        let gate = try GateFixture(on: desktop)
        for e in 1...8 {
            let t = try desktop.run { [gate = gate.gate, plan = gate.plan(guests, epoch: UInt64(e))] in
                var t: [UInt64] = [GateClock.monotonic]
                let epoch = try gate.openEpoch(plan)
                t.append(GateClock.monotonic)
                try epoch.arm()
                t.append(GateClock.monotonic)
                try epoch.sendMarkers()
                t.append(GateClock.monotonic)
                for g in plan.members { epoch.beginCut(g.name); try epoch.notePlace(g.name) }
                t.append(GateClock.monotonic)
                let ev = try epoch.release()
                t.append(GateClock.monotonic)
                epoch.close()
                t.append(GateClock.monotonic)
                t.append(t[0] + ev[0].holdTime)
                return t
            }
            let names = ["open", "arm", "markers", "cut4", "release", "close"]
            print(
                "TIMING", zip(names, zip(t, t.dropFirst())).map { "\($0) \(Double($1.1 - $1.0) / 1e6)" }, "hold",
                Double(t[7] - t[0]) / 1e6)
        }
    }
}
