/// VirtualBox's programs on this host.
package struct VirtualBoxPrograms: Sendable, Hashable {
    /// VBoxManage with what comes before its arguments, such as `runuser -u owner --`.
    package var manage: [String]
    /// Keeps a VM without a window; only this one starts a VM paused.
    package var headless: [String]
    /// The same with the owner's window.
    package var window: [String]
    /// `ip`, which tells what a network interface is.
    package var ip: [String]

    package init(manage: [String], headless: [String], window: [String], ip: [String] = ["ip"]) {
        precondition(!manage.isEmpty && !headless.isEmpty && !window.isEmpty && !ip.isEmpty)
        self.manage = manage
        self.headless = headless
        self.window = window
        self.ip = ip
    }

    /// - Parameter path: of VBoxManage; the others are beside it, as VirtualBox installs them.
    package init(command path: String) {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        let folder = parts.dropLast().map { $0 + "/" }.joined()
        self.init(manage: [path], headless: ["\(folder)VBoxHeadless"], window: ["\(folder)VirtualBoxVM"])
    }
}
