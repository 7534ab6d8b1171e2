import Foundation

/// Runs `body` with a new folder, and removes the folder afterwards, also if `body` throws; keeps it when
/// `ASSETFS_KEEP_SCRATCH` is set.
public func withScratch<Value>(
    _ name: String = #function,
    in parent: String = "/tmp",
    _ body: (String) throws -> Value
) throws -> Value {
    let label = name.filter { $0.isLetter || $0.isNumber || $0 == " " }.replacingOccurrences(of: " ", with: "-").prefix(
        40
    )
    let path =
        "\(parent.hasSuffix("/") ? String(parent.dropLast()) : parent)/assetfs-\(label)-\(UUID().uuidString.prefix(8))"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    defer {
        if ProcessInfo.processInfo.environment["ASSETFS_KEEP_SCRATCH"] == nil {
            try? FileManager.default.removeItem(atPath: path)
        }
    }
    return try body(path)
}
