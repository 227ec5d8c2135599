import Testing

@testable import LibvirtHypervisor

/// Lines as the kernel and auditd write them; no AppArmor is needed.
@Suite struct AppArmorDenialTests {
    private let uuid = "686f6c64-6661-4374-8000-c5bb89000001"

    private func line(_ name: String, profile: String? = nil, verdict: String = "DENIED") -> String {
        """
        type=AVC msg=audit(1695289080.749:1042): apparmor="\(verdict)" operation="open" \
        profile="libvirt-\(profile ?? uuid)" name=\(name) pid=4711 comm="qemu-system-x86" requested_mask="wr" \
        denied_mask="wr" fsuid=64055 ouid=0
        """
    }

    @Test func aDenialSaysWhatToAdd() throws {
        let denial = try #require(AppArmorDenial(line: line("\"/srv/holdfast/epochs/o.qcow2\""), uuid: uuid))
        #expect(denial == AppArmorDenial(path: "/srv/holdfast/epochs/o.qcow2", mask: "wr"))
        #expect(denial.advice.contains("`\"/srv/holdfast/epochs/**\" rwk,`"))
        #expect(denial.advice.contains("/etc/apparmor.d/local/abstractions/libvirt-qemu"))
    }

    @Test func aPathWithBlanksIsInHexadecimal() throws {
        let hex = "/srv/my disks/ä.qcow2".utf8.map { ($0 < 16 ? "0" : "") + String($0, radix: 16, uppercase: true) }
            .joined()
        let denial = try #require(AppArmorDenial(line: line(hex), uuid: uuid))
        #expect(denial.path == "/srv/my disks/ä.qcow2")
    }

    @Test func whatIsNotThisVMsIsNone() {
        let path = "\"/srv/o.qcow2\""
        #expect(AppArmorDenial(line: line(path, profile: "00000000-0000-0000-0000-00000000dead"), uuid: uuid) == nil)
        #expect(AppArmorDenial(line: line(path, verdict: "ALLOWED"), uuid: uuid) == nil)
        for name in ["", "\"\"", "ABC", "XYZW", "\"relative\"", "FF"] {
            #expect(AppArmorDenial(line: line(name), uuid: uuid) == nil, "\(name)")
        }
        #expect(AppArmorDenial(line: "", uuid: uuid) == nil)
    }

    @Test func theLastOneCounts() {
        let log = [line("\"/a\""), "noise", line("\"/b/c\""), line("\"/d\"", profile: "other")].joined(separator: "\n")
        #expect(AppArmorDenial.latest(of: uuid, in: log)?.path == "/b/c")
        #expect(AppArmorDenial.latest(of: uuid, in: "\n\n") == nil)
    }

    @Test func aRefusalForLackOfRightsIsExplained() {
        let denied = LibvirtFailure(code: 1, message: "Could not open '/x': Permission denied")
        #expect(denied.explained(of: uuid).contains("qemu.conf"))
        #expect(LibvirtFailure(code: 1, message: "No such file").explained(of: uuid) == "No such file.")
    }
}
