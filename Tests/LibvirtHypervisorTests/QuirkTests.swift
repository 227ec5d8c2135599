import Testing

@testable import LibvirtHypervisor

@Suite struct QuirkTests {
    @Test func versionsAreCompared() {
        #expect(HypervisorVersion(packed: 9_000_000) == HypervisorVersion(9, 0))
        #expect(HypervisorVersion(packed: 7_002_022) == HypervisorVersion(7, 2, 22))
        #expect(HypervisorVersion(9, 10) > HypervisorVersion(9, 9, 5))
        #expect(HypervisorVersion(10, 0) > HypervisorVersion(9, 10))
        #expect("\(HypervisorVersion(8, 2, 1))" == "8.2.1")
    }

    @Test func whatDebian12Has() {
        let quirks = Quirk.all(libvirt: HypervisorVersion(9, 0), qemu: HypervisorVersion(7, 2, 22))
        #expect(
            quirks == [
                .cancelledImageHangs, .guestRunsByItself, .noRevertToExternalSnapshots, .mergeIsReadyTooEarly,
                .placeOfTPMStateIsFixed,
            ])
    }

    @Test func whatComesBeforeAndAfter() {
        let old = Quirk.all(libvirt: HypervisorVersion(8, 1, 9), qemu: HypervisorVersion(5, 2))
        #expect(old.contains(.noDescriptorsThroughTheMonitor) && old.contains(.noBackgroundImages))
        #expect(!old.contains(.guestRunsByItself) && !old.contains(.guestStaysPaused))
        let new = Quirk.all(libvirt: HypervisorVersion(11, 0), qemu: HypervisorVersion(9, 0))
        #expect(new == [.cancelledImageHangs, .guestStaysPaused, .mergeIsReadyTooEarly])
    }

    @Test(arguments: Quirk.allCases) func eachSaysWhatWhyAndWhence(quirk: Quirk) {
        let entry = quirk.entry
        for text in [entry.differs, entry.answer, entry.source] { #expect(text.count > 20) }
        if let since = entry.since, let until = entry.until { #expect(since < until) }
    }
}
