package import GRPCNIOTransportHTTP2Posix
import NIOCore

/// When either end of a session takes the other for gone that says nothing more: a desktop that loses its power or its
/// link takes no leave.
///
/// A ping that is not answered makes gRPC's client close at once, but its server only ask for a goodbye that never comes.
/// Both ends therefore let TCP give the connection up when what they sent, the ping if nothing else, stays
/// unacknowledged. A peer that merely stands still acknowledges, and may go on where it was.
package enum SilentPeer {
    /// How long nothing may come before a ping is sent.
    private static let idle = Duration.seconds(1)
    /// How long what was sent may stay unacknowledged; with `idle`, the bound: 4 seconds.
    private static let unacknowledged = Duration.seconds(3)
    /// How long a peer that acknowledges may leave a ping unanswered.
    private static let unanswered = Duration.seconds(10)

    package static func notice(in config: inout HTTP2ServerTransport.Posix.Config) {
        config.connection.keepalive = .init(
            time: idle, timeout: unanswered,
            clientBehavior: .init(minPingIntervalWithoutCalls: idle / 2, allowWithoutCalls: true))
        config.channelDebuggingCallbacks.onAcceptTCPConnection = limit
    }

    package static func notice(in config: inout HTTP2ClientTransport.Posix.Config) {
        config.connection.keepalive = .init(time: idle, timeout: unanswered, allowWithoutCalls: true)
        config.channelDebuggingCallbacks.onCreateTCPConnection = limit
    }

    private static let limit: @Sendable (any Channel) -> EventLoopFuture<Void> = { channel in
        // TCP_USER_TIMEOUT of tcp(7), in milliseconds.
        let option = ChannelOptions.Types.SocketOption(level: .tcp, name: NIOBSDSocket.Option(rawValue: 18))
        return channel.setOption(option, value: Int(unacknowledged / .milliseconds(1)))
    }
}
