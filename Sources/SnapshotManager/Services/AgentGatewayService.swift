import GRPCCore
import Logging
import SnapshotProtocol
import WireProtocol

/// Connects the stream of an agent to its session.
struct AgentGatewayService: Holdfast_V1_AgentGateway.SimpleServiceProtocol {
    let manager: Manager

    func session(
        request: RPCAsyncSequence<Holdfast_V1_AgentMessage, any Error>,
        response: RPCWriter<Holdfast_V1_ManagerMessage>, context: ServerContext
    ) async throws {
        let (host, serial) = try PeerAuthorization.agent(context)
        let session = AgentSession(host: host, serial: serial)
        do {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    for await message in session.outgoing {
                        try await response.write(Holdfast_V1_ManagerMessage(message))
                    }
                }
                group.addTask { try await receive(request, session) }
                // Whichever ends first, the reader or the writer, ends the session.
                defer { group.cancelAll() }
                try await group.next()
            }
        } catch {
            await manager.dismiss(session)
            throw Self.reported(error)
        }
        await manager.dismiss(session)
        if let reason = session.closeReason { throw FailureTrailer.error(reason) }
    }

    private func receive(
        _ request: RPCAsyncSequence<Holdfast_V1_AgentMessage, any Error>, _ session: AgentSession
    ) async throws {
        var greeted = false
        for try await wire in request {
            let message = try AgentMessage(wire)
            if greeted {
                session.receive(message)
                continue
            }
            guard case .hello(let hello) = message, hello.host == session.host else {
                throw ManagerError(
                    .unauthorized,
                    "The certificate is that of \(session.host), but the agent does not say so. "
                        + "Enrol the host under the name that it uses.")
            }
            try await manager.admit(hello, session)
            greeted = true
        }
    }

    private static func reported(_ error: any Error) -> any Error {
        switch error {
        case let error as ManagerError: FailureTrailer.error(error.failures)
        case let error as WireError:
            FailureTrailer.error(
                Failure(.unsupported, "\(error) Run the same version of Holdfast on agent and manager."))
        default: error
        }
    }
}
