import CLibvirt
import DesktopLab
import Foundation
import Hypervisor
import HypervisorConformance
import Logging

@testable import LibvirtHypervisor

/// The driver that libvirt has for tests: no daemon, no QEMU, one VM called `test` in this process.
struct BuiltInFixture: DriverFixture {
    static let uri = "test:///default"

    let driver: any HypervisorDriver = LibvirtFixture.driver(uri)
    let label = uri
    let name = "test"
    let uuid: String
    let disks: [VirtualMachine.Disk]
    let workspace = "/tmp/hf-built-in/workspace"
    let scratch = "/tmp/hf-built-in/scratch"
    let witness: GuestWitness? = nil
    let limits: [DriverCapability: String] = [.daemon: "it is in this process, and cannot be out of reach"]
    private let connection = LibvirtConnection(uri: uri)

    init() async throws {
        guard let machine = try await driver.machines().first else { throw Breach("libvirt's test driver has no VM") }
        uuid = machine.uuid
        disks = machine.disks
    }

    func anotherDriver() -> any HypervisorDriver { LibvirtFixture.driver(Self.uri) }

    private func withDomain(_ body: @escaping @Sendable (borrowing LibvirtDomain) -> Void) async throws {
        try await connection.run { [uuid] handle throws(HypervisorError) in
            body(try LibvirtDomain(uuid: uuid, on: handle))
        }
    }

    func startGuest() async throws {
        switch try await guestState() {
        case .off: try await withDomain { virDomainCreate($0.pointer) }
        case .paused: try await withDomain { virDomainResume($0.pointer) }
        default: return
        }
    }

    func pauseGuest() async throws { try await withDomain { virDomainSuspend($0.pointer) } }

    func killGuest() async throws { try await withDomain { virDomainDestroy($0.pointer) } }

    func guestState() async throws -> VirtualMachine.State {
        try await connection.run { [uuid] handle throws(HypervisorError) in
            try LibvirtDomain(uuid: uuid, on: handle).state()
        }
    }

    func residue() async throws -> [String] { [] }
    func fillWorkspace() throws {}
    func emptyWorkspace() throws {}
}
