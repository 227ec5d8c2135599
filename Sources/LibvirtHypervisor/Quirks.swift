/// A version of libvirt or QEMU.
struct HypervisorVersion: Comparable, Sendable, CustomStringConvertible {
    var major: Int
    var minor: Int
    var release: Int

    init(_ major: Int, _ minor: Int, _ release: Int = 0) {
        self.major = major
        self.minor = minor
        self.release = release
    }

    /// As libvirt packs it: a million for each major version, a thousand for each minor.
    init(packed: UInt) {
        self.init(Int(packed / 1_000_000), Int(packed / 1_000 % 1_000), Int(packed % 1_000))
    }

    var description: String { "\(major).\(minor).\(release)" }

    static func < (left: Self, right: Self) -> Bool {
        (left.major, left.minor, left.release) < (right.major, right.minor, right.release)
    }
}

/// What differs among versions of libvirt and QEMU, and what we do about it. The one place where versions are named.
enum Quirk: CaseIterable, Sendable {
    case noDescriptorsThroughTheMonitor
    case noBackgroundImages
    case cancelledImageHangs
    case guestRunsByItself
    case guestStaysPaused
    case noRevertToExternalSnapshots
    case mergeIsReadyTooEarly
    case placeOfTPMStateIsFixed

    enum Program: Sendable {
        case libvirt
        case qemu
    }

    struct Entry: Sendable {
        var program: Program
        /// The first version that has it; nil: all before `until`.
        var since: HypervisorVersion?
        /// The first version that has it no more; nil: it is not known to be mended.
        var until: HypervisorVersion?
        var differs: String
        var answer: String
        var source: String
    }

    var entry: Entry {
        switch self {
        case .noDescriptorsThroughTheMonitor:
            Entry(
                program: .libvirt, until: HypervisorVersion(8, 2),
                differs: "File descriptors cannot be handed to QEMU through libvirt.",
                answer: "Cuts are refused by name: the image would need a path that seccomp and AppArmor allow.",
                source: "libvirt, NEWS 8.2.0: virDomainQemuMonitorCommandWithFiles")
        case .noBackgroundImages:
            Entry(
                program: .qemu, until: HypervisorVersion(6, 0),
                differs: "There is no capability background-snapshot.",
                answer: "The capability is asked for, and the guest stays paused while its image is saved.",
                source: "QEMU, qapi/migration.json: background-snapshot, since 6.0")
        case .cancelledImageHangs:
            Entry(
                program: .qemu, since: HypervisorVersion(6, 0),
                differs: "A background image whose reader goes can hang the guest and its monitor.",
                answer: "It is never cancelled: its reader throws the rest away, and a keeper does if the agent dies.",
                source: "seen with QEMU 7.2.22; taken for granted with all others")
        case .guestRunsByItself:
            Entry(
                program: .qemu, since: HypervisorVersion(6, 0), until: HypervisorVersion(9, 0),
                differs: "A guest that was stopped runs again once the capture of its background image has begun.",
                answer: "Its event RESUME is waited for.",
                source: "QEMU 7.2, migration/migration.c: bg_migration_vm_start_bh calls vm_start")
        case .guestStaysPaused:
            Entry(
                program: .qemu, since: HypervisorVersion(9, 0),
                differs: "A guest that was stopped stays so when the capture of its background image has begun.",
                answer: "It is let run once pages have been captured, which is looked for whatever the version.",
                source: "QEMU 9.0, commit `migration: preserve suspended for bg_migration`: vm_resume(vm_old_state)")
        case .noRevertToExternalSnapshots:
            Entry(
                program: .libvirt, until: HypervisorVersion(9, 9),
                differs: "libvirt does not revert to external snapshots.",
                answer:
                    "No snapshot is left in libvirt: overlays are merged, and a restore gives the VM files of its own.",
                source: "libvirt, NEWS 9.9.0: revert of external snapshots")
        case .mergeIsReadyTooEarly:
            Entry(
                program: .libvirt,
                differs: "A merge counts as complete a moment before QEMU takes the pivot.",
                answer: "A pivot that is refused is tried again.",
                source: "seen with libvirt 9.0.0: `block job … not ready for pivot yet`")
        case .placeOfTPMStateIsFixed:
            Entry(
                program: .libvirt, until: HypervisorVersion(10, 10),
                differs: "The state of an emulated TPM lies in a folder by the VM's UUID, and nowhere else.",
                answer: "QEMU keeps the whole of it in the image and gives it back to the TPM; no file is stored.",
                source: "QEMU, backends/tpm/tpm_emulator.c: vmstate_tpm_emulator; libvirt, NEWS 10.10.0")
        }
    }

    func applies(to version: HypervisorVersion) -> Bool {
        let entry = entry
        return entry.since.map { version >= $0 } ?? true && entry.until.map { version < $0 } ?? true
    }

    /// Those of the versions that are here.
    static func all(libvirt: HypervisorVersion, qemu: HypervisorVersion) -> [Quirk] {
        allCases.filter { quirk in
            switch quirk.entry.program {
            case .libvirt: quirk.applies(to: libvirt)
            case .qemu: quirk.applies(to: qemu)
            }
        }
    }
}
