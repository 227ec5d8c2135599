import CLibvirt
import Glibc
package import Hypervisor

/// What a restore asks of libvirt: VMs are loaded, let run, kept and ended.
extension LibvirtDriver {
    package func load(_ request: LoadRequest) async throws(HypervisorError) -> VirtualMachine {
        // Which may give the VM another description, and files that it no longer has.
        await merges.settled(request.uuid.lowercased())
        try await connection.run { handle throws(HypervisorError) in
            let description: DomainDescription
            do throws(HypervisorError) {
                description = try DomainDescription(request.description)
            } catch {
                throw .cannotLoad("The stored description of \(request.name) is damaged (\(error)).")
            }
            guard description.uuid == request.uuid.lowercased() else {
                throw .cannotLoad(
                    "The stored description of \(request.name) is of the VM \(description.uuid ?? "without a UUID").")
            }
            try description.replaceDisks(request.disks)
            for (name, path) in request.files {
                guard name == LibvirtCut.variables else {
                    throw .cannotLoad(
                        "The snapshot of \(request.name) has a file that libvirt has no use for: \(name).")
                }
                try description.replaceVariables(path)
            }
            if let existing = try? LibvirtDomain(uuid: request.uuid, on: handle), try existing.isActive() {
                throw .cannotLoad("\(request.name) runs here already; stop it before it is loaded from a snapshot.")
            }
            try HostFitness(connection: handle).check(description, name: request.name)
            let flags = VIR_DOMAIN_SAVE_PAUSED.rawValue
            guard virDomainRestoreFlags(handle.pointer, request.image, description.xml, flags) == 0 else {
                let failure = LibvirtFailure.last()
                throw .cannotLoad("libvirt could not load \(request.name): \(failure.explained(of: request.uuid))")
            }
        }
        do throws(HypervisorError) {
            return try await machine(request.uuid)
        } catch {
            try? await destroy(request.uuid)
            throw error
        }
    }

    package func resume(_ uuid: String) async throws(HypervisorError) {
        try await connection.run { handle throws(HypervisorError) in
            let domain = try LibvirtDomain(uuid: uuid, on: handle)
            let state = try domain.state()
            if state == .running { return }
            guard try domain.isActive() else {
                throw .notRunning("\(domain.name) is off and cannot be resumed.", state: state.rawValue)
            }
            do throws(HypervisorError) {
                try domain.resume()
            } catch {
                // Somebody else may have let it run or stopped it meanwhile.
                let now = try domain.state()
                if now == .running { return }
                guard try domain.isActive() else {
                    throw .notRunning("\(domain.name) was stopped and cannot be resumed.", state: now.rawValue)
                }
                throw error
            }
        }
    }

    package func endWriteError(_ uuid: String) async throws(HypervisorError) {
        if Self.lackOfMonitor(uri: connection.uri) != nil { return }
        let waking = DomainWaking(uuid: uuid, connection: connection, logger: logger)
        try await connection.run { handle throws(HypervisorError) in try waking.endIOError(on: handle) }
    }

    package func keep(_ uuid: String) async throws(HypervisorError) {
        try await connection.run { handle throws(HypervisorError) in
            let domain = try LibvirtDomain(uuid: uuid, on: handle)
            let text = try domain.xml(VIR_DOMAIN_XML_SECURE, VIR_DOMAIN_XML_MIGRATABLE)
            guard let defined = virDomainDefineXML(handle.pointer, text) else {
                throw LibvirtFailure.last().error(doing: "keep the description of \(domain.name)")
            }
            virDomainFree(defined)
        }
    }

    package func destroy(_ uuid: String) async throws(HypervisorError) {
        try await connection.run { handle throws(HypervisorError) in
            let domain: LibvirtDomain
            do throws(HypervisorError) {
                domain = try LibvirtDomain(uuid: uuid, on: handle)
            } catch {
                if case .unknownMachine = error { return }
                throw error
            }
            if try domain.state() == .off { return }
            guard virDomainDestroy(domain.pointer) == 0 else {
                let failure = LibvirtFailure.last()
                if (try? domain.state()) ?? .off == .off { return }
                throw failure.error(doing: "stop \(domain.name)")
            }
        }
    }

    package func announce(_ uuid: String) async throws(HypervisorError) {
        try await connection.run { handle throws(HypervisorError) in
            let domain = try LibvirtDomain(uuid: uuid, on: handle)
            guard try domain.isActive() else {
                throw .notRunning("\(domain.name) is off and has no place in the network.", state: "off")
            }
            let command = """
                {"execute":"announce-self","arguments":{"initial":20,"max":200,"rounds":4,"step":50}}
                """
            try domain.execute(command)
        }
    }
}
