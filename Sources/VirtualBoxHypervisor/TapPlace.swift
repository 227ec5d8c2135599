import Foundation

/// Where a host interface stands: the one place of all that VirtualBox can attach to from which every frame of the guest
/// crosses the host's packet filter is a tap that is a port of a Linux bridge. See VirtualBox.md.
package struct TapPlace: Sendable, Hashable {
    var tap: String
    var bridge: String

    private struct Link: Decodable {
        struct Information: Decodable {
            struct Details: Decodable {
                /// Of a tun device: `tap` or `tun`.
                var type: String?
                var filtering: Int?

                enum CodingKeys: String, CodingKey {
                    case type
                    case filtering = "vlan_filtering"
                }
            }
            var kind: String?
            var details: Details?

            enum CodingKeys: String, CodingKey {
                case kind = "info_kind"
                case details = "info_data"
            }
        }
        var name: String
        var master: String?
        var information: Information?

        enum CodingKeys: String, CodingKey {
            case master
            case name = "ifname"
            case information = "linkinfo"
        }
    }

    /// Every such place in the answer to `ip -json -details link show`, by the tap's name.
    static func all(in answer: String) -> [String: TapPlace] {
        guard let links = try? JSONDecoder().decode([Link].self, from: Data(answer.utf8)) else { return [:] }
        // A bridge that filters VLANs takes its ports out of promiscuous mode, without which VirtualBox gives it nothing.
        let bridges = links.filter { $0.information?.kind == "bridge" && $0.information?.details?.filtering ?? 0 == 0 }
        let names = Set(bridges.map(\.name))
        var places: [String: TapPlace] = [:]
        for link in links where link.information?.kind == "tun" && link.information?.details?.type == "tap" {
            guard let master = link.master, names.contains(master) else { continue }
            places[link.name] = TapPlace(tap: link.name, bridge: master)
        }
        return places
    }

    /// How an owner gets a VM's NIC there.
    ///
    /// - Parameter adapter: the NIC's number, or `N` for whichever it is.
    package static func advice(machine: String, adapter: String) -> String {
        let tap = "vbtap\(adapter)"
        return "Give it a tap of its own on a Linux bridge: `ip tuntap add dev \(tap) mode tap`, `ip link set \(tap) "
            + "master br0 up`, and with the VM off `VBoxManage modifyvm \(machine) --nic\(adapter) bridged "
            + "--bridgeadapter\(adapter) \(tap)`."
    }
}
