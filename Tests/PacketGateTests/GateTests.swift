import Glibc
import Testing

/// The gate against the real kernel, with real packets, in network namespaces of the tests' own. Needs root.
@Suite("Packet gate", .serialized, .enabled(if: getuid() == 0))
struct GateTests {}
