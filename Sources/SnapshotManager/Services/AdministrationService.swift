import GRPCCore
import SnapshotProtocol
import SwiftProtobuf
import WireProtocol

/// Decodes, calls the manager, encodes; for administrators only.
struct AdministrationService: Holdfast_V1_Administration.SimpleServiceProtocol {
    let manager: Manager

    func listAgents(request: Holdfast_V1_Nothing, context: ServerContext) async throws -> Holdfast_V1_AgentList {
        let agents = try await call(context) { () throws(ManagerError) in try await manager.agents() }
        return .with { $0.agents = agents.map { Holdfast_V1_Agent($0) } }
    }

    func listMachines(
        request: Holdfast_V1_Nothing, context: ServerContext
    ) async throws -> Holdfast_V1_HostedMachineList {
        let inventory = try await call(context) { () throws(ManagerError) in try await manager.machines() }
        return Holdfast_V1_HostedMachineList(inventory)
    }

    func createCluster(request: Holdfast_V1_Cluster, context: ServerContext) async throws -> Holdfast_V1_Cluster {
        let wanted = ClusterSummary(request)
        let cluster = try await call(context) { () throws(ManagerError) in
            try await manager.createCluster(wanted.name, members: wanted.members.map(\.name))
        }
        return Holdfast_V1_Cluster(cluster)
    }

    func listClusters(request: Holdfast_V1_Nothing, context: ServerContext) async throws -> Holdfast_V1_ClusterList {
        let clusters = try await call(context) { () throws(ManagerError) in try await manager.clusters() }
        return .with { $0.clusters = clusters.map { Holdfast_V1_Cluster($0) } }
    }

    func showCluster(request: Holdfast_V1_ByName, context: ServerContext) async throws -> Holdfast_V1_Cluster {
        let cluster = try await call(context) { () throws(ManagerError) in try await manager.cluster(request.name) }
        return Holdfast_V1_Cluster(cluster)
    }

    func deleteCluster(request: Holdfast_V1_ByName, context: ServerContext) async throws -> Holdfast_V1_Nothing {
        try await call(context) { () throws(ManagerError) in try await manager.deleteCluster(request.name) }
        return Holdfast_V1_Nothing()
    }

    func createSnapshot(
        request: Holdfast_V1_CreateSnapshotRequest, response: RPCWriter<Holdfast_V1_SnapshotEvent>,
        context: ServerContext
    ) async throws {
        let mode = try await call(context) { () throws(ManagerError) in
            do throws(WireError) {
                return try ModeChoice(request.mode)
            } catch {
                throw ManagerError(.usage, "\(error)")
            }
        }
        let (events, sink) = AsyncStream.makeStream(of: SnapshotProgress.self)
        try await stream(events, response, context, encode: { Holdfast_V1_SnapshotEvent($0) }) {
            () throws(ManagerError) in
            defer { sink.finish() }
            let snapshot = try await manager.createSnapshot(of: request.cluster, mode: mode) { sink.yield($0) }
            sink.yield(.sealed(snapshot))
        }
    }

    func listSnapshots(request: Holdfast_V1_Nothing, context: ServerContext) async throws -> Holdfast_V1_SnapshotList {
        let snapshots = try await call(context) { () throws(ManagerError) in try await manager.snapshots() }
        return .with { $0.snapshots = snapshots.map { Holdfast_V1_Snapshot($0) } }
    }

    func showSnapshot(request: Holdfast_V1_ByName, context: ServerContext) async throws -> Holdfast_V1_Snapshot {
        let snapshot = try await call(context) { () throws(ManagerError) in try await manager.snapshot(request.name) }
        return Holdfast_V1_Snapshot(snapshot)
    }

    func verifySnapshot(
        request: Holdfast_V1_ByName, context: ServerContext
    ) async throws -> Holdfast_V1_Verification {
        let verification = try await call(context) { () throws(ManagerError) in
            try await manager.verifySnapshot(request.name)
        }
        return Holdfast_V1_Verification(verification)
    }

    func deleteSnapshot(request: Holdfast_V1_ByName, context: ServerContext) async throws -> Holdfast_V1_Nothing {
        try await call(context) { () throws(ManagerError) in try await manager.deleteSnapshot(request.name) }
        return Holdfast_V1_Nothing()
    }

    func restore(
        request: Holdfast_V1_RestoreRequest, response: RPCWriter<Holdfast_V1_RestoreEvent>, context: ServerContext
    ) async throws {
        let (events, sink) = AsyncStream.makeStream(of: RestoreProgress.self)
        try await stream(events, response, context, encode: { Holdfast_V1_RestoreEvent($0) }) {
            () throws(ManagerError) in
            defer { sink.finish() }
            let summary = try await manager.restore(RestoreRequest(request)) { sink.yield($0) }
            sink.yield(.restored(summary))
        }
    }

    func diagnose(request: Holdfast_V1_DiagnoseRequest, context: ServerContext) async throws -> Holdfast_V1_Diagnosis {
        let findings = try await call(context) { () throws(ManagerError) in
            try await manager.diagnose(DiagnosisScope(request))
        }
        return Holdfast_V1_Diagnosis(findings)
    }

    private func call<Value: Sendable>(
        _ context: ServerContext, _ body: () async throws(ManagerError) -> Value
    ) async throws -> Value {
        try PeerAuthorization.administrator(context)
        do throws(ManagerError) {
            return try await body()
        } catch {
            throw FailureTrailer.error(error.failures)
        }
    }

    /// Runs `body`, which feeds `events` and ends them. A client that goes away cancels it.
    private func stream<Event: Sendable, Message: Sendable>(
        _ events: AsyncStream<Event>, _ response: RPCWriter<Message>, _ context: ServerContext,
        encode: (Event) -> Message, _ body: @escaping @Sendable () async throws(ManagerError) -> Void
    ) async throws {
        try PeerAuthorization.administrator(context)
        async let outcome: Void = body()
        for await event in events { try await response.write(encode(event)) }
        do {
            try await outcome
        } catch let error as ManagerError {
            throw FailureTrailer.error(error.failures)
        }
    }
}
