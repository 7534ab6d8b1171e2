import AssetModel
import ArgumentParser
import CLinux
import Foundation
import SystemPackage

/// Extended attributes of paths in a mount.
enum ExtendedAttribute {
    /// An attribute's value; nil where there is none.
    static func read(_ name: String, of path: FilePath) throws -> String? {
        try bytes(name, of: path).map { String(decoding: $0, as: UTF8.self) }
    }

    /// An attribute's value as it is; nil where there is none.
    static func bytes(_ name: String, of path: FilePath) throws -> [UInt8]? {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        let size = buffer.count
        let count = unsafe path.withC { unsafe lgetxattr($0, name, &buffer, size) }
        guard count < 0 else { return Array(buffer.prefix(count)) }
        if errno == ENODATA { return nil }
        throw failure(path)
    }

    /// Sets an attribute.
    static func set(_ name: String, of path: FilePath, to value: String) throws {
        let bytes = Array(value.utf8)
        guard unsafe path.withC({ unsafe lsetxattr($0, name, bytes, bytes.count, 0) }) == 0 else { throw failure(path) }
    }

    /// Removes an attribute, if it is there.
    static func remove(_ name: String, of path: FilePath) throws {
        guard unsafe path.withC({ unsafe lremovexattr($0, name) }) == 0 || errno == ENODATA else { throw failure(path) }
    }

    /// What the last call that failed means.
    private static func failure(_ path: FilePath) -> ExitCode {
        let number = errno
        // The mount says in words what the number means.
        if [EINVAL, ERANGE, E2BIG, EPERM, EOPNOTSUPP].contains(number),
            let reason = try? read("user.asset.error", of: path)
        {
            return ExitStatus.failed.because("\(path): \(reason)")
        }
        return switch number {
        case ENOENT: ExitStatus.failed.because("\(path) does not exist.")
        case EOPNOTSUPP: ExitStatus.failed.because("\(path) is not below an assetfs mount.")
        default: ExitStatus.failed.because("\(path): \(unsafe String(cString: strerror(number))).")
        }
    }
}

/// What holds for uploads into a folder, as `user.policy.effective` says.
struct EffectivePolicy {
    /// A key's value, and who gave it.
    struct Setting {
        let value: String
        let origin: String
    }

    let settings: [String: Setting]
    let json: String

    /// The keys of single fields.
    var fieldKeys: [String] { settings.keys.filter { $0.hasPrefix(PolicyKey.fieldPrefix) }.sorted() }

    /// Reads it from a folder, or the folder that a file is in.
    init(of path: FilePath) throws {
        guard let json = try ExtendedAttribute.read("user.policy.effective", of: path) else {
            throw ExitStatus.failed.because("\(path) is neither a folder nor a file below an assetfs mount's folders/.")
        }
        self.json = json
        let members = try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: [String: String]] ?? [:]
        settings = members.mapValues { entry in
            let preset = entry["preset"].map { ", preset \($0)" } ?? ""
            return Setting(value: entry["value"] ?? "", origin: (entry["from"] ?? "") + preset)
        }
    }
}
