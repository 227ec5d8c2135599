import GRPCCore
import GRPCNIOTransportHTTP2Posix
package import Logging
import ServiceLifecycle
import SnapshotProtocol
import SnapshotStore
import UnixSignals
import WireProtocol

/// The manager as a service: two listeners, one for those who have a certificate and one for those who want one.
package struct ManagerServer: Service {
    package let manager: Manager

    private let gateway: GRPCServer<HTTP2ServerTransport.Posix>
    private let enrollment: GRPCServer<HTTP2ServerTransport.Posix>
    private let configuration: ManagerConfiguration
    /// Held for as long as the server is.
    private let lock: StateLock
    private let logger: Logger

    /// Opens state, catalog and repository. Listens only when run.
    package init(_ configuration: ManagerConfiguration, logger: Logger) throws(ManagerError) {
        let state = configuration.state
        let authority = try CertificateAuthority(
            certificate: state.read(state.authorityCertificate), key: state.read(state.authorityKey))
        let root = TLSConfig.CertificateSource.bytes(try authority.der, format: .der)
        let chain: [TLSConfig.CertificateSource] = [
            .bytes(Array(try state.read(state.serverCertificate).utf8), format: .pem)
        ]
        let key = TLSConfig.PrivateKeySource.bytes(Array(try state.read(state.serverKey).utf8), format: .pem)
        lock = try StateLock(state)
        let repository: DirectoryRepository
        do throws(StoreError) {
            repository = try DirectoryRepository(opening: configuration.repository)
        } catch {
            throw ManagerError(error.failure)
        }
        let catalog = try Catalog(path: state.catalog)
        manager = Manager(
            catalog: catalog, repository: repository,
            limits: Manager.Limits(
                holdBudget: configuration.holdBudget, colourBudget: configuration.colourBudget,
                flushBound: configuration.flushBound, inventoryBound: configuration.inventoryBound,
                reconnectBound: configuration.reconnectBound),
            logger: logger)
        self.configuration = configuration
        self.logger = logger

        let gatewayTransport = HTTP2ServerTransport.Posix(
            address: configuration.listen.socket,
            transportSecurity: .mTLS(certificateChain: chain, privateKey: key) { tls in
                tls.trustRoots = .certificates([root])
                tls.clientCertificateVerification = .noHostnameVerification
                tls.requireALPN = true
            },
            config: .defaults { SilentPeer.notice(in: &$0) })
        gateway = GRPCServer(
            transport: gatewayTransport,
            services: [AgentGatewayService(manager: manager), AdministrationService(manager: manager)])
        let enrollmentTransport = HTTP2ServerTransport.Posix(
            address: configuration.enrollment.socket,
            transportSecurity: .tls(certificateChain: chain, privateKey: key) { tls in
                tls.trustRoots = .certificates([root])
                tls.clientCertificateVerification = .noVerification
                tls.requireALPN = true
            },
            config: .defaults { SilentPeer.notice(in: &$0) })
        enrollment = GRPCServer(
            transport: enrollmentTransport,
            services: [
                EnrollmentService(
                    catalog: catalog, authority: authority, gateway: configuration.gatewayAddress.description,
                    logger: logger)
            ])
    }

    /// Runs a manager until it is told to stop by SIGTERM or SIGINT.
    package static func runUntilSignalled(
        _ configuration: ManagerConfiguration, logger: Logger
    ) async throws {
        let server = try ManagerServer(configuration, logger: logger)
        let group = ServiceGroup(
            configuration: .init(
                services: [.init(service: server)], gracefulShutdownSignals: [.sigterm, .sigint], logger: logger))
        try await group.run()
    }

    package func run() async throws {
        try await manager.recover()
        try await withGracefulShutdownHandler {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await serve(gateway, at: configuration.listen) }
                group.addTask { try await serve(enrollment, at: configuration.enrollment) }
                // When one cannot listen the other must not go on alone.
                defer { group.cancelAll() }
                try await group.next()
                try await group.waitForAll()
            }
        } onGracefulShutdown: {
            enrollment.beginGracefulShutdown()
            // Jobs give up and clean up over the sessions, so these end last.
            Task {
                await manager.stop()
                gateway.beginGracefulShutdown()
            }
        }
    }

    private func serve(_ server: GRPCServer<HTTP2ServerTransport.Posix>, at address: NetworkAddress) async throws {
        do {
            try await server.serve()
        } catch let error as CancellationError {
            throw error
        } catch {
            throw ManagerError(
                .unreachable,
                "The manager cannot listen on \(address): \(error). See whether another program does, and whether the "
                    + "address is this machine's.")
        }
    }

    /// The port on which agents and command lines are served, once it is open.
    package var gatewayPort: Int {
        get async throws { try await Self.port(of: gateway) }
    }

    /// The port on which hosts enrol, once it is open.
    package var enrollmentPort: Int {
        get async throws { try await Self.port(of: enrollment) }
    }

    private static func port(of server: GRPCServer<HTTP2ServerTransport.Posix>) async throws -> Int {
        let address = try await server.listeningAddress
        return address?.ipv4?.port ?? address?.ipv6?.port ?? 0
    }
}

extension NetworkAddress {
    fileprivate var socket: SocketAddress {
        switch kind {
        case .ipv6: .ipv6(host: host, port: port)
        case .ipv4, .name: .ipv4(host: host, port: port)
        }
    }
}
