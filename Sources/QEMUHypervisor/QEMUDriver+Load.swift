import Foundation
import Glibc
package import Hypervisor
import Logging

extension QEMUDriver {
    package func load(_ request: LoadRequest) async throws(HypervisorError) -> VirtualMachine {
        let uuid = request.uuid.lowercased()
        return try await thread.run { () throws(HypervisorError) in
            let description = try GuestDescription(request.description)
            guard description.uuid == uuid else {
                throw .cannotLoad("The stored description of \(request.name) is of the VM \(description.uuid).")
            }
            guard try self.monitor(uuid) == nil, GuestProcess.find(uuid: uuid) == nil else {
                throw .cannotLoad("\(request.name) runs here already; stop it before it is loaded from a snapshot.")
            }
            let guest = try StartedGuest(description, request: request, folder: self.folder)
            do throws(HypervisorError) {
                try guest.load(image: request.image)
                guard let found = try self.guest(uuid) else {
                    throw .cannotLoad("QEMU ended as soon as it had loaded \(request.name).")
                }
                return found.machine
            } catch {
                guest.discard()
                throw error
            }
        }
    }

    /// Switches a VM on whose description is in the folder of this driver's own guests, under its name or its UUID: one
    /// that was restored here and kept, or that its owner has described. One that runs already is left as it is.
    package func start(_ machine: String) async throws(HypervisorError) {
        try await thread.run { () throws(HypervisorError) in
            let wanted = self.folder.descriptions.filter { $0.name == machine || $0.uuid == machine.lowercased() }
            guard let description = wanted.first else {
                var text =
                    "There is no description of \(machine) in \(self.folder.machines). VMs that others started are "
                    + "started again by them."
                for (path, description) in self.folder.files {
                    if case .failure(let why) = description { text += " \(path) is of no use: \(why)" }
                }
                throw .unknownMachine(text)
            }
            guard wanted.count == 1 else {
                throw .failed("\(machine) is the name of \(wanted.count) VMs. Say which by its UUID.")
            }
            guard try self.monitor(description.uuid) == nil, GuestProcess.find(uuid: description.uuid) == nil else {
                return
            }
            let guest = StartedGuest(description, folder: self.folder)
            do throws(HypervisorError) {
                try guest.boot()
            } catch {
                guest.discard()
                throw error
            }
        }
    }
}
