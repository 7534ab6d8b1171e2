import FuzzTargets
import Glibc

/// libFuzzer's `main` without the symbol, which is this program's.
@_silgen_name("LLVMFuzzerRunDriver")
private func runDriver(
    _ count: UnsafeMutablePointer<CInt>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
    _ body: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
) -> CInt

/// The target that ASSETFS_FUZZ_TARGET names.
private let target: FuzzTarget = {
    let name = unsafe getenv("ASSETFS_FUZZ_TARGET").map { unsafe String(cString: $0) } ?? ""
    guard let target = FuzzTarget.all.first(where: { $0.name == name }) else {
        print("ASSETFS_FUZZ_TARGET is one of", FuzzTarget.all.map(\.name).joined(separator: " "))
        exit(64)
    }
    return target
}()

/// `make fuzz`: libFuzzer with one of the targets; with `--words` it prints the target's words as libFuzzer's dictionary.
@main
struct Fuzz {
    static func main() {
        if CommandLine.arguments.dropFirst().first == "--words" {
            for word in target.words {
                print("\"" + word.utf8.map { "\\x" + ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined() + "\"")
            }
            return
        }
        var count = CommandLine.argc
        var arguments = unsafe CommandLine.unsafeArgv
        let status = unsafe runDriver(&count, &arguments) { bytes, count in
            let input = unsafe Array(UnsafeBufferPointer(start: bytes, count: count))
            if let complaint = target.complaint(about: input) {
                // A find.
                print(complaint)
                fflush(nil)
                abort()
            }
            return 0
        }
        exit(status)
    }
}
