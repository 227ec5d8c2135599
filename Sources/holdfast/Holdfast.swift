import Foundation
import HoldfastCommands

@main
enum Holdfast {
    static func main() async {
        Foundation.exit(await HoldfastMain.run(Array(CommandLine.arguments.dropFirst())))
    }
}
