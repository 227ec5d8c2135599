import Foundation
import Glibc
import Hypervisor

/// A QEMU that is started for a VM, from an image or from its description alone.
final class StartedGuest {
    private let description: GuestDescription
    private let name: String
    private let folder: GuestFolder
    private var taps: [Int32] = []
    private var process: GuestProcess?

    init(_ description: GuestDescription, request: LoadRequest, folder: GuestFolder) throws(HypervisorError) {
        var description = description
        let disks = description.disks
        for (target, path) in request.disks.sorted(by: { $0.key < $1.key }) {
            guard let disk = disks.first(where: { $0.target == target }) else {
                throw .cannotLoad(
                    "The stored description of \(request.name) has no disk \(target), but the snapshot has one.")
            }
            disk.replace(in: &description.options, path: path, format: "qcow2")
        }
        for disk in disks where !disk.readOnly && request.disks[disk.target] == nil {
            throw .cannotLoad("The snapshot of \(request.name) has nothing of its disk \(disk.target).")
        }
        for (target, path) in request.disks
        where description.disks.first(where: { $0.target == target })?.path != path {
            throw .cannotLoad("Disk \(target) of \(request.name) cannot be pointed at another file.")
        }
        self.description = description
        name = request.name
        self.folder = folder
    }

    init(_ description: GuestDescription, folder: GuestFolder) {
        self.description = description
        name = description.name
        self.folder = folder
    }

    private func file(_ suffix: String) -> String { folder.file(description.uuid, suffix) }

    // MARK: Starting

    /// Starts QEMU and has it take the image. Blocks until the VM is there, paused.
    func load(image: String) throws(HypervisorError) {
        let source = open(image, O_RDONLY | O_CLOEXEC)
        guard source >= 0 else { throw .cannotLoad("The image of \(name) cannot be read: \(Self.reason).") }
        defer { close(source) }
        try start(with: ["-S", "-incoming", "defer"])
        let monitor = try connect("qmp")
        _ = monitor.set("events", true)
        try take(source, on: monitor)
    }

    /// Starts it as a machine that is switched on. Blocks until it runs.
    func boot() throws(HypervisorError) {
        try start(with: [])
        // The owner's: the other one may be an agent's already.
        let monitor = try connect("monitor")
        guard try monitor.runState() == "running" else { throw .failed("\(name) was started, but does not run.") }
    }

    private func start(with further: [String]) throws(HypervisorError) {
        do {
            try FileManager.default.createDirectory(atPath: folder.machines, withIntermediateDirectories: true)
        } catch {
            throw .failed("The folder \(folder.machines) cannot be made: \(error).")
        }
        folder.sweep(description.uuid)
        let arguments = try arguments() + further
        defer { for tap in taps { close(tap) } }
        try run(arguments)
    }

    private static var reason: String { String(cString: strerror(errno)) }

    /// Makes the taps on the way: the descriptor of each is given by its number in the new process.
    private func arguments() throws(HypervisorError) -> [String] {
        var arguments = [
            "qemu-system-\(description.architecture)", "-name",
            "guest=\(description.name.replacing(",", with: ",,")),debug-threads=on", "-uuid", description.uuid,
        ]
        if !description.options.contains(where: { $0.name == "machine" }) {
            arguments += ["-machine", description.machine]
        }
        for option in description.options { arguments += try carried(option).arguments }
        return arguments + [
            "-display", "none", "-monitor", "none", "-msg", "timestamp=on",
            "-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
            "-qmp", "unix:\(file("qmp").replacing(",", with: ",,")),server=on,wait=off",
            "-qmp", "unix:\(file("monitor").replacing(",", with: ",,")),server=on,wait=off",
            "-pidfile", file("pid"),
        ]
    }

    /// The first number of a tap in the new process.
    private static let firstTap: Int32 = 10

    private func carried(_ option: GuestOption) throws(HypervisorError) -> GuestOption {
        var option = option
        switch option.name {
        case "machine":
            option["type"] = nil
            option[""] = description.machine
        case "netdev", "nic":
            guard option.kind != "none" else { return option }
            guard let id = option["id"], let nic = description.nics.first(where: { $0.netdev == id }) else {
                throw .cannotLoad("The stored description of \(name) does not say which bridge a NIC was on.")
            }
            let tap = try HostNetwork.makeTap(on: nic.bridge)
            taps.append(tap.descriptor)
            let number = Self.firstTap + Int32(taps.count - 1)
            option.values =
                [.init("", "tap"), .init("id", id), .init("fd", "\(number)")]
                + option.values.filter { ["model", "mac", "addr", "sndbuf"].contains($0.key) }
        case "serial", "parallel":
            let target = option[""] ?? "null"
            let isKept = target == "null" || target == "none" || target.hasPrefix("chardev:")
            if !isKept, !(target.hasPrefix("file:") && Self.isLog(String(target.dropFirst("file:".count)))) {
                option[""] = "null"
            }
        case "chardev":
            let id = option["id"] ?? ""
            if option.kind != "file" || !Self.isLog(option["path"] ?? "") {
                option.values = [.init("", "null"), .init("id", id)]
            } else {
                option["append"] = "on"
            }
        default: break
        }
        return option
    }

    /// A console goes on into its file only where that is a log that is there already: the description may come from
    /// elsewhere, and the guest writes what it likes.
    private static func isLog(_ path: String) -> Bool {
        var status = stat()
        return path.hasSuffix(".log") && lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
    }

    private func run(_ arguments: [String]) throws(HypervisorError) {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, file("log"), O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        // Out of the way of each other first: a descriptor may have the number that another shall get.
        let spare = taps.map { fcntl($0, F_DUPFD_CLOEXEC, 200) }
        defer { for descriptor in spare { close(descriptor) } }
        for (index, descriptor) in spare.enumerated() {
            posix_spawn_file_actions_adddup2(&actions, descriptor, Self.firstTap + Int32(index))
        }
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        var all = sigset_t()
        sigfillset(&all)
        posix_spawnattr_setsigdefault(&attributes, &all)
        // POSIX_SPAWN_SETSID, which the header hides from Swift: the VM lives on when the agent ends.
        let newSession: Int32 = 0x80
        posix_spawnattr_setflags(
            &attributes, Int16(newSession | Int32(POSIX_SPAWN_SETSIGMASK) | Int32(POSIX_SPAWN_SETSIGDEF)))
        var words: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        var pid: pid_t = 0
        let failure = posix_spawnp(&pid, arguments[0], &actions, &attributes, &words, environ)
        guard failure == 0 else {
            throw .cannotLoad(
                "This host cannot start \(arguments[0]) for \(name): \(String(cString: strerror(failure))). Install it."
            )
        }
        let child = pid
        process = GuestProcess(pid: child)
        // Takes note of its end, so that it does not stay as a dead entry in the table of processes.
        Thread.detachNewThread {
            var status: Int32 = 0
            while waitpid(child, &status, 0) < 0 && errno == EINTR {}
        }
    }

    private func connect(_ socket: String) throws(HypervisorError) -> MonitorSocket {
        let end = WallClock.monotonic() + 30_000_000_000
        while true {
            do throws(HypervisorError) {
                return try MonitorSocket(path: file(socket), machineName: name)
            } catch {
                guard process?.isRunning == true else {
                    throw .cannotLoad("QEMU did not start for \(name): \(lastWords)")
                }
                guard WallClock.monotonic() < end else { throw error }
            }
            usleep(5_000)
        }
    }

    /// What QEMU has said last.
    private var lastWords: String {
        let text = (try? String(contentsOfFile: file("log"), encoding: .utf8)) ?? ""
        let lines = text.split(separator: "\n").suffix(3).joined(separator: " ")
        return lines.isEmpty ? "it said nothing." : lines
    }

    // MARK: The image

    private func take(_ source: Int32, on monitor: MonitorSocket) throws(HypervisorError) {
        // Through a socket and not as a file, which later versions of QEMU want in another way.
        var ends: [Int32] = [-1, -1]
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
            throw .failed("Could not make a pair of sockets: \(Self.reason).")
        }
        let (ours, theirs) = (ends[0], ends[1])
        do throws(HypervisorError) {
            try monitor.giveDescriptor(theirs)
        } catch {
            close(ours)
            close(theirs)
            throw error
        }
        close(theirs)
        let done = DispatchSemaphore(value: 0)
        Thread.detachNewThread {
            Self.pump(source, into: ours)
            done.signal()
        }
        defer {
            shutdown(ours, Int32(SHUT_RDWR))
            done.wait()
            close(ours)
        }
        try monitor.execute(ImageDescriptor.migrateIncoming)
        while true {
            do throws(HypervisorError) {
                let (status, error) = try monitor.migration()
                if status == "completed" { return try isPaused(monitor) }
                if status == "failed" { throw .cannotLoad("The image of \(name) is damaged: \(error ?? lastWords)") }
                // Whatever changes says so.
                _ = try monitor.event(by: WallClock.monotonic() + 20_000_000) { $0.name == "MIGRATION" }
            } catch {
                if case .cannotLoad = error { throw error }
                guard monitor.isClosed else { throw error }
                throw .cannotLoad("The image of \(name) cannot be loaded: \(lastWords)")
            }
        }
    }

    private func isPaused(_ monitor: MonitorSocket) throws(HypervisorError) {
        let end = WallClock.monotonic() + 10_000_000_000
        while RunningGuest.state(try monitor.runState()) != .paused {
            guard WallClock.monotonic() < end else { throw .cannotLoad("\(name) was loaded, but is not paused.") }
            usleep(2_000)
        }
    }

    private static func pump(_ source: Int32, into socket: Int32) {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
        defer { buffer.deallocate() }
        while true {
            let count = read(source, buffer.baseAddress, buffer.count)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { break }
            var sent = 0
            while sent < count {
                let part = send(socket, buffer.baseAddress! + sent, count - sent, Int32(MSG_NOSIGNAL))
                if part < 0 && errno == EINTR { continue }
                guard part > 0 else { return }
                sent += part
            }
        }
        // The end is told, or QEMU would wait for the rest of an image that is not whole.
        shutdown(socket, Int32(SHUT_WR))
    }

    // MARK: Failure

    /// Nothing of it stays.
    func discard() {
        _ = process?.end()
        folder.sweep(description.uuid)
        unlink(file("log"))
    }
}
