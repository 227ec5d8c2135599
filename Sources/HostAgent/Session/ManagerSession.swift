import GRPCCore
import GRPCNIOTransportHTTP2Posix
package import Logging
package import SnapshotProtocol
package import WireProtocol

/// The agent's connection to the manager: dials out, says who it is, and dials again for as long as it is let.
package struct ManagerSession: Sendable {
    package enum Event: Sendable {
        /// A session is open; messages go through this continuation until `closed`.
        case opened(AsyncStream<AgentMessage>.Continuation)
        case received(ManagerMessage)
        case closed(Failure)
    }

    private let identity: AgentIdentity
    private let logger: Logger

    package init(identity: AgentIdentity, logger: Logger) {
        self.identity = identity
        self.logger = logger
    }

    /// Runs until the task is cancelled. `hello` is asked for anew on each session.
    package func run(
        hello: @Sendable () async -> AgentHello, handle: @escaping @Sendable (Event) async -> Void
    ) async throws {
        var delay = Duration.milliseconds(200)
        while !Task.isCancelled {
            let started = ContinuousClock.now
            do {
                try await connect(hello: await hello(), handle: handle)
                await handle(.closed(Failure(.unreachable, "The manager closed the session.")))
            } catch let error as RPCError {
                if Task.isCancelled { break }
                let failure =
                    FailureTrailer.failures(in: error)?.first
                    ?? TransportFailure.failure(error, dialling: identity.gateway)
                await handle(.closed(failure))
            } catch is CancellationError {
                break
            }
            // A session that lasted was a good one: try again soon. Otherwise leave the manager more and more time.
            delay = started.duration(to: .now) > .seconds(10) ? .milliseconds(200) : min(delay * 2, .seconds(10))
            try? await Task.sleep(for: delay * Double.random(in: 0.8...1.2))
        }
    }

    private func connect(hello: AgentHello, handle: @escaping @Sendable (Event) async -> Void) async throws {
        let endpoint = try Endpoint(identity.gateway)
        let transport = try HTTP2ClientTransport.Posix(
            target: endpoint.target,
            transportSecurity: .mTLS(
                certificateChain: [.bytes(identity.certificate, format: .der)],
                privateKey: .bytes(identity.privateKey, format: .der)
            ) {
                $0.trustRoots = .certificates([.bytes(identity.authority, format: .der)])
                $0.serverCertificateVerification = .fullVerification
            },
            config: .defaults { SilentPeer.notice(in: &$0) })
        let (outgoing, continuation) = AsyncStream.makeStream(of: AgentMessage.self)
        continuation.yield(.hello(hello))
        defer { continuation.finish() }
        try await withGRPCClient(transport: transport) { client in
            let gateway = Holdfast_V1_AgentGateway.Client(wrapping: client)
            var options = CallOptions.defaults
            options.waitForReady = false
            try await gateway.session(
                options: options,
                requestProducer: { writer in
                    for await message in outgoing { try await writer.write(Holdfast_V1_AgentMessage(message)) }
                },
                onResponse: { response in
                    await handle(.opened(continuation))
                    for try await wire in response.messages {
                        do {
                            await handle(.received(try ManagerMessage(wire)))
                        } catch {
                            logger.error("message of the manager not understood", metadata: ["error": "\(error)"])
                        }
                    }
                })
        }
    }
}
