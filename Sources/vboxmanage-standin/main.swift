import Foundation
import Glibc

// Holdfast's stand-in for VBoxManage, VBoxHeadless and VirtualBoxVM. It is not VirtualBox and has nothing of it: it keeps
// real QEMU guests behind the part of VBoxManage's documented grammar that Holdfast uses, so that the driver can be tried
// where VirtualBox cannot be installed. Its state is in the folder `VBOX_USER_HOME`.

// Whoever reads our output may have gone.
signal(SIGPIPE, SIG_IGN)
let program = CommandLine.arguments[0].split(separator: "/").last.map(String.init) ?? ""
let arguments = Array(CommandLine.arguments.dropFirst())
do {
    let home = Home()
    if program.hasPrefix("VBoxHeadless") || program.hasPrefix("VirtualBoxVM") {
        try Headless(home: home, arguments: arguments).run()
    } else {
        try Invocation(home: home, arguments: arguments).run()
    }
} catch let refusal as Refusal {
    for line in refusal.lines { FileHandle.standardError.write(Data((line + "\n").utf8)) }
    exit(refusal.exitCode)
} catch {
    FileHandle.standardError.write(Data("VBoxManage: error: \(error)\n".utf8))
    exit(1)
}
