import FuzzTargets
import Glibc

// The program of `make fuzz`: libFuzzer, which provides `main`, with one of the targets.

/// The target that ASSETFS_FUZZ_TARGET names.
private let target: FuzzTarget = {
    let name = unsafe getenv("ASSETFS_FUZZ_TARGET").map { unsafe String(cString: $0) } ?? ""
    guard let target = FuzzTarget.all.first(where: { $0.name == name }) else {
        print("ASSETFS_FUZZ_TARGET is one of", FuzzTarget.all.map(\.name).joined(separator: " "))
        exit(64)
    }
    return target
}()

/// Prints the target's words as a libFuzzer dictionary and exits, if ASSETFS_FUZZ_WORDS is set.
@_cdecl("LLVMFuzzerInitialize")
public func initialize(_ count: UnsafeMutableRawPointer?, _ arguments: UnsafeMutableRawPointer?) -> CInt {
    guard unsafe getenv("ASSETFS_FUZZ_WORDS") != nil else { return 0 }
    for word in target.words {
        print("\"" + word.utf8.map { "\\x" + ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined() + "\"")
    }
    exit(0)
}

/// Runs the target on an input, and aborts if a condition does not hold: libFuzzer then records a find.
@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = unsafe Array(UnsafeBufferPointer(start: bytes, count: count))
    if let complaint = target.complaint(about: input) {
        print(complaint)
        fflush(nil)
        abort()
    }
    return 0
}
