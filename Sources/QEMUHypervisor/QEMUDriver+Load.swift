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
            let guest = try LoadedGuest(description, request: request, folder: self.folder)
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
}
