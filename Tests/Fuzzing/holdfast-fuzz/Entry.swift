import FuzzSubjects
import Glibc

/// Names the subject. libFuzzer starts itself again for some of its work, and the variable is what reaches that.
private let variable = "HOLDFAST_SUBJECT"

/// Chosen with the first use, which comes after the argument was moved into the environment.
private let subject: FuzzSubject = {
    let name = getenv(variable).map { String(cString: $0) }
    if let name, let subject = FuzzSubject(rawValue: name) { return subject }
    let fault = name.map { "There is no subject \($0)." } ?? "Which subject?"
    let names = FuzzSubject.allCases.map(\.rawValue).joined(separator: " ")
    let text = "\(fault) Name one of these as the first argument or in \(variable):\n\(names)\n"
    _ = write(STDERR_FILENO, text, text.utf8.count)
    exit(64)
}()

@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ start: UnsafeRawPointer?, _ count: Int) -> CInt {
    subject.runOrTrap(UnsafeRawBufferPointer(start: start, count: count))
    return 0
}

@_silgen_name("LLVMFuzzerRunDriver")
func runDriver(
    _ count: UnsafeMutablePointer<CInt>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
    _ test: @convention(c) (UnsafeRawPointer?, Int) -> CInt
) -> CInt

/// SwiftPM makes this the program's `main`, in the place of libFuzzer's own.
@_cdecl("holdfast_fuzz_main")
public func fuzz(_ count: CInt, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> CInt {
    var (count, arguments) = (count, arguments)
    if getenv(variable) == nil, count > 1, let name = arguments[1], name[0] != CChar(UInt8(ascii: "-")) {
        setenv(variable, name, 1)
        // The program's name takes the place of the subject's, so that libFuzzer never sees it.
        arguments[1] = arguments[0]
        arguments += 1
        count -= 1
    }
    _ = subject
    return runDriver(&count, &arguments, testOneInput)
}
