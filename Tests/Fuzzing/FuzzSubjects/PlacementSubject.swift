import SnapshotManager
import SnapshotProtocol
import SwiftProtobuf
import WireProtocol

/// The pieces are a request for a restore, the evidence of a snapshot's members, what hosts have, and what they offer.
/// Of these the manager makes a plan; it may believe none of them.
enum PlacementSubject {
    static func run(_ bytes: [UInt8]) throws {
        let pieces = Array(Pieces(bytes))
        guard pieces.count >= 3,
            let request = try? RestoreRequest(Holdfast_V1_RestoreRequest(serializedBytes: pieces[0])),
            let snapshot = try? SnapshotSummary(Holdfast_V1_Snapshot(serializedBytes: pieces[1])),
            let found = try? MachineInventory(Holdfast_V1_HostedMachineList(serializedBytes: pieces[2]))
        else { return }
        var offers: [HostName: [String: String]] = [:]
        for piece in pieces.dropFirst(3) {
            guard let hello = try? AgentHello(Holdfast_V1_AgentHello(serializedBytes: piece)) else { continue }
            offers[hello.host] = hello.offers
        }
        let hosted = Dictionary(grouping: found.machines, by: \.host).mapValues { $0.map(\.machine) }
        let inventory = Inventory(hosted.mapValues { .success($0) })
        let placement = RestorePlacement(
            request: request, cluster: snapshot.cluster, members: snapshot.members, offers: offers,
            inventory: inventory, lastHosts: [:])
        if let plan = try? placement.plan() { try check(plan, placement) }
        try resolve(snapshot.members.map(\.member.name), in: inventory)
    }

    private static func check(_ plan: RestorePlan, _ placement: RestorePlacement) throws {
        try Broken.unless(
            plan.members.map(\.name) == placement.members.map(\.member.name), "A member came or went.")
        for (member, evidence) in zip(plan.members, placement.members) {
            guard let offered = placement.offers[member.host] else {
                throw Broken(description: "\(member.name) is placed on a host that is not there.")
            }
            try Broken.unless(
                RestorePlacement.lacking(evidence.stored.requirements, in: offered).isEmpty,
                "\(member.name) is placed where it cannot run.")
            let wanted = placement.request.placements[member.name]
            try Broken.unless(wanted == nil || wanted == member.host, "\(member.name) is not where it was wanted.")
        }
        guard !plan.replaceRunning else { return }
        let running = placement.inventory.machines.filter { $0.machine.state != "off" }
        let planned = Set(plan.members.map(\.machine))
        try Broken.unless(
            !running.contains { planned.contains($0.machine.uuid) }, "An original would run beside its copy.")
    }

    private static func resolve(_ names: [MemberName], in inventory: Inventory) throws {
        guard let planned = try? MemberResolution.resolve(names.map { .init(name: $0) }, in: inventory) else { return }
        try Broken.unless(planned.map(\.name) == names, "A member came or went.")
        for member in planned {
            let there = inventory.machines(named: member.name).filter { $0.machine.state == "running" }
            try Broken.unless(
                there.map(\.host) == [member.host] && there.allSatisfy { $0.machine.blockers.isEmpty },
                "\(member.name) was resolved to what cannot be snapshotted.")
        }
    }
}
