import FuzzTargets
import Glibc

// `make fuzz`: libFuzzer, whose `main` this program has, with one of the targets.

/// The target that ASSETFS_FUZZ_TARGET names.
private let target: FuzzTarget = {
    let name = unsafe getenv("ASSETFS_FUZZ_TARGET").map { unsafe String(cString: $0) } ?? ""
    guard let target = FuzzTarget.all.first(where: { $0.name == name }) else {
        print("ASSETFS_FUZZ_TARGET is one of", FuzzTarget.all.map(\.name).joined(separator: " "))
        exit(64)
    }
    return target
}()

/// Prints, with ASSETFS_FUZZ_WORDS, the target's words as libFuzzer's dictionary, instead of running it.
@_cdecl("LLVMFuzzerInitialize")
public func initialize(_ count: UnsafeMutableRawPointer?, _ arguments: UnsafeMutableRawPointer?) -> CInt {
    guard unsafe getenv("ASSETFS_FUZZ_WORDS") != nil else { return 0 }
    for word in target.words {
        print("\"" + word.utf8.map { "\\x" + ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined() + "\"")
    }
    exit(0)
}

/// Runs the target on an input, and aborts where what must hold of each does not: that is a find.
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
