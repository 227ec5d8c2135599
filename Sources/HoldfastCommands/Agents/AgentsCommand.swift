import ArgumentParser
import ManagerClient

struct AgentsCommand: ManagerCommand {
    static let configuration = CommandConfiguration(
        commandName: "agents", abstract: "Lists the enrolled hosts and whether their agents are connected.")

    @OptionGroup var connection: ConnectionOptions

    func ask(_ manager: any ManagerCalls) async throws(ManagerCallError) -> Answer {
        .agents(try await manager.agents())
    }
}
