package import DesktopLab
import Foundation
package import Hypervisor

/// One driver with what the suite needs around it. The guest belongs to the suite alone.
package protocol DriverFixture: Sendable {
    var driver: any HypervisorDriver { get }

    /// What is behind the driver, for the table: `7.2`, `test:///default`, …
    var label: String { get }

    /// A driver as an agent that was started anew has it: it shares nothing with any other.
    func anotherDriver() -> any HypervisorDriver

    /// Ends what the kernel would end if the agent of that driver were killed in that cut, such as its sockets. What
    /// outlives an agent goes on: the keeper of the image throws the rest of it away.
    func bury(_ driver: any HypervisorDriver, in cut: any PreparedCut) async

    /// A driver of a hypervisor that is not there.
    func absentDriver() -> (any HypervisorDriver)?

    /// Where overlays go. Empty when the suite begins.
    var workspace: String { get }

    /// A folder for images and copies of disks.
    var scratch: String { get }

    /// What cannot be shown here although the driver can do it, and why.
    var limits: [DriverCapability: String] { get }

    /// The guest: its UUID, its name, and the disks that are its own.
    var uuid: String { get }
    var name: String { get }
    var disks: [VirtualMachine.Disk] { get }

    /// What the guest's witness says; nil only where no guest can be cut.
    var witness: GuestWitness? { get }

    /// Makes the guest run on its own disks, as it was first described: lets it run, or starts it anew when it is off or
    /// was changed by a load. Waits until it works.
    func startGuest() async throws

    /// Pauses the guest as its owner would, behind the driver's back.
    func pauseGuest() async throws

    /// Kills the guest's process, and waits until the hypervisor knows.
    func killGuest() async throws

    /// The guest's state by its hypervisor and not by the driver.
    func guestState() async throws -> VirtualMachine.State

    /// What of a cut is left in the hypervisor, in words: a capability that is still set, a job, a snapshot.
    func residue() async throws -> [String]

    /// Leaves in the workspace what a killed agent may have left of VMs that cannot be put right: before and after the
    /// guest in the order of UUIDs.
    func leaveHopelessJournals() throws

    /// Fills the file system of `workspace`, and gives it its room back.
    func fillWorkspace() throws
    func emptyWorkspace() throws
}

extension DriverFixture {
    package func bury(_ driver: any HypervisorDriver, in cut: any PreparedCut) async {}

    package func absentDriver() -> (any HypervisorDriver)? { nil }

    /// In the format of `CutJournal`, with overlays that are none.
    package func leaveHopelessJournals() throws {
        for uuid in ["00000000-0000-0000-0000-000000000001", "ffffffff-0000-0000-0000-000000000001"] {
            let overlay = "\(workspace)/\(uuid).qcow2"
            try "no overlay".write(toFile: overlay, atomically: true, encoding: .utf8)
            try CutJournal(
                uuid: uuid,
                overlays: [.init(target: "vda", original: "/nonexistent", originalFormat: "raw", overlay: overlay)]
            ).write(to: workspace)
        }
    }
}

/// What a guest of the laboratory says on its console.
package struct GuestWitness: Sendable {
    private let log: WitnessLog

    package init(serialLog: String) { log = WitnessLog(path: serialLog) }

    /// Bytes so far: grows only while the guest runs, and does so several times a second.
    package var said: UInt64 { log.size }

    package var latest: WitnessReport? { log.latest }

    package func reports(since place: UInt64) -> [WitnessReport] { log.reports(since: place).reports }

    /// Waits for a whole report that was begun after `place`.
    @discardableResult
    package func report(
        after place: UInt64, patience: Duration = .seconds(60), _ isWanted: (WitnessReport) -> Bool = { _ in true }
    ) async throws -> WitnessReport {
        let end = ContinuousClock.now + patience
        while ContinuousClock.now < end {
            if let found = reports(since: place).first(where: isWanted) { return found }
            try await Task.sleep(for: .milliseconds(20))
        }
        let last = latest.map { "\($0)" } ?? "nothing"
        throw Breach("the guest says nothing of what was waited for; its last words: \(last)")
    }
}
