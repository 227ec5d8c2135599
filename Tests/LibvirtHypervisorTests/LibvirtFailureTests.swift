import CLibvirt
import Hypervisor
import Testing

@testable import LibvirtHypervisor

@Suite struct LibvirtFailureTests {
    private func kind(_ error: HypervisorError) -> String {
        String(String(describing: error).prefix { $0 != "(" })
    }

    @Test(arguments: [
        (VIR_ERR_NO_DOMAIN, "x", "unknownMachine"), (VIR_ERR_AUTH_FAILED, "x", "noRights"),
        (VIR_ERR_ACCESS_DENIED, "x", "noRights"), (VIR_ERR_OPERATION_DENIED, "read only access", "noRights"),
        (VIR_ERR_SYSTEM_ERROR, "Failed to connect socket: Permission denied", "noRights"),
        (VIR_ERR_SYSTEM_ERROR, "Failed to connect socket: No such file", "unavailable"),
        (VIR_ERR_SYSTEM_ERROR, "cannot write: No space left on device", "noSpace"),
        (VIR_ERR_RPC, "x", "unavailable"), (VIR_ERR_NO_CONNECT, "x", "unavailable"),
        (VIR_ERR_NO_SUPPORT, "x", "unsupported"), (VIR_ERR_CONFIG_UNSUPPORTED, "x", "unsupported"),
        (VIR_ERR_OPERATION_UNSUPPORTED, "x", "unsupported"), (VIR_ERR_OPERATION_INVALID, "x", "failed"),
        (VIR_ERR_INTERNAL_ERROR, "x", "failed"),
    ])
    func kinds(code: virErrorNumber, message: String, expected: String) {
        let error = LibvirtFailure(code: Int32(code.rawValue), message: message).error(doing: "look")
        #expect(kind(error) == expected)
        #expect("\(error)".contains("Could not look: \(message)."))
    }

    /// As of a client whose socket was closed under it, where the daemon says so of itself and the same is final.
    @Test func anInternalErrorOfTheConnectionPasses() {
        let failure = { (domain: virErrorDomain) in
            LibvirtFailure(
                code: Int32(VIR_ERR_INTERNAL_ERROR.rawValue), message: "x", domain: Int32(domain.rawValue)
            ).error(doing: "look")
        }
        #expect(kind(failure(VIR_FROM_RPC)) == "unavailable" && failure(VIR_FROM_RPC).passes)
        #expect(kind(failure(VIR_FROM_QEMU)) == "failed")
    }

    @Test func aCodeOfALaterLibvirtIsAFailure() {
        #expect(kind(LibvirtFailure(code: 9_999, message: "x").error(doing: "look")) == "failed")
        #expect(kind(LibvirtFailure(code: -1, message: "x").error(doing: "look")) == "failed")
    }
}
