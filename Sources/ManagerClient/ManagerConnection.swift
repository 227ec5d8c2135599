import GRPCCore
import GRPCNIOTransportHTTP2Posix
package import SnapshotProtocol
import SwiftProtobuf
package import WireProtocol

/// Calls a manager over mutual TLS; each call is a connection of its own.
package struct ManagerConnection: ManagerCalls {
    private let address: NetworkAddress
    private let credentials: ManagerCredentials

    /// `address` is HOST:PORT.
    package init(address: String, credentials: ManagerCredentials) throws(ManagerCallError) {
        guard let found = NetworkAddress(address), found.port > 0 else {
            throw ManagerCallError(.usage, "\(address) is no address of a manager; write it as HOST:PORT.")
        }
        self.address = found
        self.credentials = credentials
    }

    package func agents() async throws(ManagerCallError) -> [AgentStatus] {
        try await call { try await $0.listAgents(Holdfast_V1_Nothing()).agents.map { AgentStatus($0) } }
    }

    package func machines() async throws(ManagerCallError) -> MachineInventory {
        try await call { try MachineInventory(await $0.listMachines(Holdfast_V1_Nothing())) }
    }

    package func createCluster(
        _ name: String, members: [MemberName]
    ) async throws(ManagerCallError) -> ClusterSummary {
        let cluster = ClusterSummary(name: name, members: members.map { .init(name: $0) })
        return try await call { ClusterSummary(try await $0.createCluster(Holdfast_V1_Cluster(cluster))) }
    }

    package func clusters() async throws(ManagerCallError) -> [ClusterSummary] {
        try await call { try await $0.listClusters(Holdfast_V1_Nothing()).clusters.map { ClusterSummary($0) } }
    }

    package func cluster(_ name: String) async throws(ManagerCallError) -> ClusterSummary {
        try await call { ClusterSummary(try await $0.showCluster(.with { $0.name = name })) }
    }

    package func deleteCluster(_ name: String) async throws(ManagerCallError) {
        try await call { _ = try await $0.deleteCluster(.with { $0.name = name }) }
    }

    package func createSnapshot(
        of cluster: String, mode: ModeChoice, progress: @escaping @Sendable (SnapshotProgress) -> Void
    ) async throws(ManagerCallError) -> SnapshotSummary {
        try await call { client in
            let request = Holdfast_V1_CreateSnapshotRequest.with {
                $0.cluster = cluster
                $0.mode = Holdfast_V1_ModeChoice(mode)
            }
            return try await client.createSnapshot(request) { response in
                var sealed: SnapshotSummary?
                for try await wire in response.messages {
                    let event = try SnapshotProgress(wire)
                    if case .sealed(let snapshot) = event { sealed = snapshot } else { progress(event) }
                }
                guard let sealed else { throw Self.incomplete }
                return sealed
            }
        }
    }

    package func snapshots() async throws(ManagerCallError) -> [SnapshotSummary] {
        try await call { client in
            try await client.listSnapshots(Holdfast_V1_Nothing()).snapshots.map { try SnapshotSummary($0) }
        }
    }

    package func snapshot(_ id: String) async throws(ManagerCallError) -> SnapshotSummary {
        try await call { try SnapshotSummary(await $0.showSnapshot(.with { $0.name = id })) }
    }

    package func verifySnapshot(_ id: String) async throws(ManagerCallError) -> SnapshotVerification {
        try await call { try SnapshotVerification(await $0.verifySnapshot(.with { $0.name = id })) }
    }

    package func deleteSnapshot(_ id: String) async throws(ManagerCallError) {
        try await call { _ = try await $0.deleteSnapshot(.with { $0.name = id }) }
    }

    package func restore(
        _ request: RestoreRequest, progress: @escaping @Sendable (RestoreProgress) -> Void
    ) async throws(ManagerCallError) -> RestoreSummary {
        try await call { client in
            try await client.restore(Holdfast_V1_RestoreRequest(request)) { response in
                var summary: RestoreSummary?
                for try await wire in response.messages {
                    let event = try RestoreProgress(wire)
                    if case .restored(let restored) = event { summary = restored } else { progress(event) }
                }
                guard let summary else { throw Self.incomplete }
                return summary
            }
        }
    }

    package func diagnose(_ scope: DiagnosisScope) async throws(ManagerCallError) -> [Finding] {
        try await call { try [Finding](await $0.diagnose(Holdfast_V1_DiagnoseRequest(scope))) }
    }

    // MARK: Calling

    private typealias Client = Holdfast_V1_Administration.Client<HTTP2ClientTransport.Posix>

    private static let incomplete = ManagerCallError(
        .unreachable, "The manager ended the call without its outcome. See its log, and what `holdfast` lists.")

    private func call<Value: Sendable>(
        _ body: @Sendable @escaping (Client) async throws -> Value
    ) async throws(ManagerCallError) -> Value {
        do {
            let transport = try HTTP2ClientTransport.Posix(
                target: target, transportSecurity: security,
                config: .defaults { SilentPeer.notice(in: &$0) })
            return try await withGRPCClient(transport: transport) { client in
                try await body(Holdfast_V1_Administration.Client(wrapping: client))
            }
        } catch {
            throw mapped(error)
        }
    }

    private var target: any ResolvableTarget {
        switch address.kind {
        case .ipv6: .ipv6(address: address.host, port: address.port)
        case .ipv4: .ipv4(address: address.host, port: address.port)
        case .name: .dns(host: address.host, port: address.port)
        }
    }

    private var security: HTTP2ClientTransport.Posix.TransportSecurity {
        .mTLS(
            certificateChain: [.bytes(Array(credentials.certificate.utf8), format: .pem)],
            privateKey: .bytes(Array(credentials.key.utf8), format: .pem)
        ) { tls in
            tls.trustRoots = .certificates([.bytes(Array(credentials.authority.utf8), format: .pem)])
            tls.serverCertificateVerification = .fullVerification
        }
    }

    private func mapped(_ error: any Error) -> ManagerCallError {
        switch error {
        case let error as ManagerCallError: return error
        case let error as WireError:
            return ManagerCallError(.unsupported, "\(error) Run the same version of Holdfast here and on the manager.")
        case let error as RPCError:
            if let failures = FailureTrailer.failures(in: error) { return ManagerCallError(failures) }
            return ManagerCallError([TransportFailure.failure(error, dialling: address.description)])
        case is CancellationError: return ManagerCallError(.cancelled, "The call was cancelled.")
        default:
            return ManagerCallError(
                .unauthorized, "The credentials cannot be used: \(error). Copy them from the manager again.")
        }
    }
}
