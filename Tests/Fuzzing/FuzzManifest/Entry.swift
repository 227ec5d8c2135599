import FuzzSubjects

@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ start: UnsafeRawPointer?, _ count: Int) -> CInt {
    FuzzSubject.manifest.runOrTrap(UnsafeRawBufferPointer(start: start, count: count))
    return 0
}

@_silgen_name("LLVMFuzzerRunDriver")
func runDriver(
    _ count: UnsafeMutablePointer<CInt>, _ arguments: UnsafeMutablePointer<UnsafeMutableRawPointer?>,
    _ test: @convention(c) (UnsafeRawPointer?, Int) -> CInt
) -> CInt

/// SwiftPM makes this the program's `main`, in the place of libFuzzer's own.
@_cdecl("FuzzManifest_main")
public func fuzz(_ count: CInt, _ arguments: UnsafeMutableRawPointer) -> CInt {
    var count = count
    var arguments: UnsafeMutableRawPointer? = arguments
    return runDriver(&count, &arguments, testOneInput)
}
