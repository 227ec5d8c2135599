import SnapshotManager
import SnapshotProtocol
import Testing
import WireProtocol

@Suite struct MemberResolutionTests {
    private func resolve(
        _ member: ClusterSummary.Member, _ hosts: [HostName: Result<[MachineSummary], Failure>]
    ) -> Result<[PlannedMember], ManagerError> {
        do throws(ManagerError) {
            return .success(try MemberResolution.resolve([member], in: Inventory(hosts)))
        } catch {
            return .failure(error)
        }
    }

    private func codes(_ result: Result<[PlannedMember], ManagerError>) -> [FailureCode] {
        guard case .failure(let error) = result else { return [] }
        return error.failures.map(\.code)
    }

    private let member = ClusterSummary.Member(name: MemberName("a"))
    private let pc1 = HostName("pc1")
    private let pc2 = HostName("pc2")

    @Test func theOneThatRunsIsTaken() throws {
        let found = resolve(member, [pc1: .success([.running("a", state: "off")]), pc2: .success([.running("a")])])
        let planned = try #require(try found.get().first)
        #expect(planned.host == pc2)
        #expect(planned.machine == MachineSummary.running("a").uuid)
        #expect(planned.nics == MachineSummary.running("a").nics)
    }

    @Test func twoThatRunAreTooMany() {
        let found = resolve(member, [pc1: .success([.running("a")]), pc2: .success([.running("a")])])
        #expect(codes(found) == [.unsupported])
    }

    @Test(arguments: ["paused", "off", "other"]) func oneThatDoesNotRunIsNamedWithItsState(state: String) {
        let found = resolve(member, [pc1: .success([.running("a", state: state)])])
        #expect(codes(found) == [.machineNotRunning])
        guard case .failure(let error) = found else { return }
        #expect(error.failures[0].message.contains("\(state) on pc1"))
    }

    @Test func absenceHasTheReasonThatFits() {
        #expect(codes(resolve(member, [pc1: .success([])])) == [.unknownMachine])
        let failure = Failure(.hypervisorUnavailable, "libvirtd does not answer.")
        #expect(codes(resolve(member, [pc1: .failure(failure)])) == [.hypervisorUnavailable])
        let known = ClusterSummary.Member(name: MemberName("a"), lastHost: pc2)
        #expect(codes(resolve(known, [pc1: .failure(failure)])) == [.hostUnavailable])
        #expect(codes(resolve(known, [pc2: .success([])])) == [.unknownMachine])
    }

    @Test func everyBlockerIsNamed() {
        let blockers = [Failure(.unsupported, "VFIO"), Failure(.interfaceWithoutTap, "user")]
        #expect(
            codes(resolve(member, [pc1: .success([.running("a", blockers: blockers)])]))
                == [.unsupported, .interfaceWithoutTap])
    }
}

@Suite struct RestorePlacementTests {
    private func evidence(_ name: String, on host: String, needs: [String: String] = [:]) -> MemberEvidence {
        let member = MemberName(name)
        return MemberEvidence(
            member: PlannedMember(name: member, host: HostName(host), machine: "uuid-\(name)", nics: []),
            cut: MemberCut(
                member: member, armedAt: 1, cutStartedAt: 2, cutEndedAt: 3, pause: 1, method: "background"),
            gate: GateAttestation(member: member),
            stored: StoredMember(member: member, parts: [], savedAt: 4, requirements: needs))
    }

    private func placement(
        _ members: [MemberEvidence], offers: [String: [String: String]], request: RestoreRequest = .init(snapshot: "s"),
        lastHosts: [String: String] = [:]
    ) -> RestorePlacement {
        RestorePlacement(
            request: request, cluster: "web", members: members,
            offers: Dictionary(uniqueKeysWithValues: offers.map { (HostName($0.key), $0.value) }),
            inventory: Inventory(
                Dictionary(uniqueKeysWithValues: offers.keys.map { (HostName($0), .success([])) })),
            lastHosts: Dictionary(uniqueKeysWithValues: lastHosts.map { (MemberName($0.key), HostName($0.value)) }))
    }

    private func hosts(_ placement: RestorePlacement) throws -> [String] {
        try placement.plan().members.map(\.host.rawValue)
    }

    private func codes(_ placement: RestorePlacement) -> [FailureCode] {
        do throws(ManagerError) {
            _ = try placement.plan()
            return []
        } catch {
            return error.failures.map(\.code)
        }
    }

    @Test func thoseWhoseHostIsLostAreSpread() throws {
        let members = ["a", "b", "c"].map { evidence($0, on: "gone") } + [evidence("d", on: "pc1")]
        let request = RestoreRequest(snapshot: "s", lostHosts: [HostName("gone")])
        let found = try hosts(placement(members, offers: ["pc1": [:], "pc2": [:]], request: request))
        #expect(found == ["pc2", "pc1", "pc2", "pc1"])
    }

    @Test func whereItRanLastCountsNotWhereItWasSnapshotted() {
        let members = [evidence("a", on: "pc1")]
        let moved = placement(members, offers: ["pc1": [:]], lastHosts: ["a": "pc3"])
        #expect(codes(moved) == [.hostUnavailable])
    }

    @Test func aHostThatDoesNotFitIsPassedOver() throws {
        let members = [evidence("a", on: "pc1", needs: ["cpu": "v3"])]
        #expect(try hosts(placement(members, offers: ["pc1": ["cpu": "v2"], "pc2": ["cpu": "v2,v3"]])) == ["pc2"])
        #expect(codes(placement(members, offers: ["pc1": ["cpu": "v2"]])) == [.incompatibleHost])
        let request = RestoreRequest(snapshot: "s", placements: [MemberName("a"): HostName("pc1")])
        let forced = placement(members, offers: ["pc1": ["cpu": "v2"], "pc2": ["cpu": "v3"]], request: request)
        #expect(codes(forced) == [.incompatibleHost])
    }

    @Test func placementsMustMakeSense() {
        let members = [evidence("a", on: "pc1")]
        func place(_ member: String, _ host: String) -> [FailureCode] {
            let request = RestoreRequest(snapshot: "s", placements: [MemberName(member): HostName(host)])
            return codes(placement(members, offers: ["pc1": [:]], request: request))
        }
        #expect(place("x", "pc1") == [.usage])
        #expect(place("a", "pc9") == [.hostUnavailable])
    }

    @Test func aHostThatCannotSayWhatItRunsStopsTheRestore() {
        var unsure = placement([evidence("a", on: "pc1")], offers: ["pc1": [:], "pc2": [:]])
        unsure.inventory.hosts[HostName("pc2")] = .failure(Failure(.hypervisorUnavailable, "It hangs."))
        #expect(codes(unsure) == [.hypervisorUnavailable])
    }

    @Test func requirementsAreComparedOneByOne() {
        let lacking = RestorePlacement.lacking
        #expect(lacking(["version": "7.2.9"], ["version": "7.10.0"]) == [])
        #expect(lacking(["version": "7.10.0"], ["version": "7.2.9"]).count == 1)
        #expect(lacking(["machine": "pc-q35-7.2"], ["machine": "pc-q35-7.1, pc-q35-7.2"]) == [])
        #expect(lacking(["machine": "pc-q35-7.2"], ["machine": "pc-q35-7.20"]).count == 1)
        #expect(lacking(["arch": "x86_64", "cpu": "v3"], [:]) == [])
        #expect(lacking(["arch": "x86_64", "cpu": "v3"], ["arch": "aarch64", "cpu": "v2"]).count == 2)
    }

    @Test func whatCountsIsWhatAHostOffersToTheSameDriver() {
        let offers = [
            "driver": "qemu,virtualbox", "qemu.version": "7.2.22", "virtualbox.version": "7.0.20",
            "qemu.machine": "pc-i440fx-7.2,pc-q35-7.2",
        ]
        let lacking = { (requirements: [String: String]) in RestorePlacement.lacking(requirements, in: offers) }
        #expect(lacking(["driver": "qemu", "version": "7.2.22", "machine": "pc-q35-7.2"]) == [])
        // A newer QEMU is no newer VirtualBox.
        #expect(lacking(["driver": "virtualbox", "version": "7.1.0"]).count == 1)
        #expect(lacking(["driver": "virtualbox", "version": "7.0.20", "machine": "piix3"]) == [])
        #expect(lacking(["driver": "qemu", "machine": "pc-q35-9.0"]).count == 1)
        // One sentence says it all.
        let absent = lacking(["driver": "libvirt", "version": "9.9", "machine": "pc-q35-9.0"])
        #expect(absent == ["it needs libvirt, and the host has qemu, virtualbox"])
        let bare = RestorePlacement.lacking(
            ["driver": "qemu", "machine": "pc-q35-9.0"], in: ["driver": "qemu", "qemu.machine": ""])
        #expect(bare == ["it needs machine pc-q35-9.0, the host offers none"])
    }

    @Test func aHypervisorThatIsOutOfOrderIsNamedToWhoLooksForItsMachines() {
        let offers = ["driver": "qemu,virtualbox", "virtualbox.silence": "It hangs.", "qemu.version": "7.2"]
        let outages = HypervisorOutage.all(in: offers)
        #expect(outages == [HypervisorOutage(driver: "virtualbox", text: "It hangs.", isSilent: true)])
        var inventory = Inventory([HostName("pc1"): .success([])])
        inventory.outages[HostName("pc1")] = outages
        do throws(ManagerError) {
            _ = try MemberResolution.resolve([.init(name: MemberName("a"))], in: inventory)
            Issue.record("It was found.")
        } catch {
            #expect(error.failures.map(\.code) == [.hypervisorUnavailable])
            #expect(error.failures.first?.message.contains("pc1 cannot show its VMs under virtualbox") == true)
        }
        // Nobody knows what runs under one that is silent; of one that is plainly away nothing does.
        var unsure = placement([evidence("a", on: "pc1")], offers: ["pc1": [:]])
        unsure.inventory = inventory
        #expect(codes(unsure) == [.hypervisorUnavailable])
        unsure.inventory.outages[HostName("pc1")] = [.init(driver: "virtualbox", text: "Away.", isSilent: false)]
        #expect(codes(unsure) == [])
    }
}

@Suite struct NameTests {
    @Test func aSnapshotIsNamedAfterClusterEpochAndTime() {
        let name = SnapshotName.make(cluster: "web", epoch: Epoch(12), now: 1_795_253_400_000_000_000)
        #expect(name == "web-000012-20261121T093000Z")
        #expect(SnapshotName.make(cluster: "w", epoch: Epoch(1_234_567), now: 0) == "w-1234567-19700101T000000Z")
    }

    @Test(arguments: [
        ("127.0.0.1:7443", NetworkAddress(host: "127.0.0.1", port: 7443)),
        ("[::1]:1", NetworkAddress(host: "::1", port: 1)),
        ("host.example:65535", NetworkAddress(host: "host.example", port: 65535)),
    ]) func addressesAreReadAndWritten(text: String, address: NetworkAddress) {
        #expect(NetworkAddress(text) == address)
        #expect(address.description == text)
    }

    @Test(arguments: [
        "", "host", ":1", "::1:1", "host:", "host:65536", "host:-1", "host:x", "[[x]]:1", "[host]:1", "[=4]14:::73",
        "[::1%lo]:1", "[::1\u{0}]:1", "a b:1", "h\"ost:1", "\u{BD}.1.1.1:1",
    ])
    func whatIsNoAddressIsRefused(text: String) { #expect(NetworkAddress(text) == nil) }

    @Test func identitiesAreReadFromTheirURIs() {
        for identity in [
            PeerIdentity.agent(HostName("pc1")), .administrator("admin"), .manager("lab"),
        ] {
            #expect(PeerIdentity(uri: identity.uri) == identity)
        }
        for uri in [
            "holdfast://agent/", "holdfast://agent/a/b", "holdfast://root/a", "http://agent/a", "holdfast://agent",
        ] {
            #expect(PeerIdentity(uri: uri) == nil)
        }
    }
}

@Suite struct ModeSelectionTests {
    @Test(arguments: [1, 7, 8, 100], [false, true]) func whoSaysWhatHeWantsGetsIt(hosts: Int, outlastsHold: Bool) {
        #expect(ModeChoice.hold.mode(hosts: hosts, outlastsHold: outlastsHold) == .hold)
        #expect(ModeChoice.colour.mode(hosts: hosts, outlastsHold: outlastsHold) == .colour)
    }

    @Test func autoIsColourForManyHostsAndForStragglers() {
        #expect(ModeChoice.auto.mode(hosts: ModeChoice.manyHosts - 1, outlastsHold: false) == .hold)
        #expect(ModeChoice.auto.mode(hosts: ModeChoice.manyHosts, outlastsHold: false) == .colour)
        #expect(ModeChoice.auto.mode(hosts: 1, outlastsHold: true) == .colour)
    }
}
