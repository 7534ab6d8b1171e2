import AssetModel
import ArgumentParser
import CLinux
import Foundation
import SystemPackage

/// Extended attributes of files and folders in a mount.
enum ExtendedAttribute {
    /// Reads an attribute's value; nil where there is none.
    static func read(_ name: String, of place: Held) throws -> String? {
        try bytes(name, of: place).map { String(decoding: $0, as: UTF8.self) }
    }

    /// Reads an attribute's value as bytes; nil where there is none.
    static func bytes(_ name: String, of place: Held) throws -> [UInt8]? {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        let size = buffer.count
        let count = unsafe getxattr(place.link, name, &buffer, size)
        guard count < 0 else { return Array(buffer.prefix(count)) }
        if errno == ENODATA { return nil }
        throw failure(place)
    }

    /// Sets an attribute.
    static func set(_ name: String, of place: Held, to value: String) throws {
        let bytes = Array(value.utf8)
        guard unsafe setxattr(place.link, name, bytes, bytes.count, 0) == 0 else { throw failure(place) }
    }

    /// Removes an attribute, if there is one.
    static func remove(_ name: String, of place: Held) throws {
        guard unsafe removexattr(place.link, name) == 0 || errno == ENODATA else { throw failure(place) }
    }

    /// Returns the failure of the last call, with the mount's own reason where it gives one.
    private static func failure(_ place: Held) -> ExitCode {
        let (number, path) = (errno, place.path)
        // The mount gives the reason in words.
        if [EINVAL, ERANGE, E2BIG, EPERM, EOPNOTSUPP].contains(number),
            let reason = try? read("user.asset.error", of: place)
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

/// The effective policy for uploads into a folder, from `user.policy.effective`.
struct EffectivePolicy {
    /// A key's value and its source.
    struct Setting {
        let value: String
        let origin: String
    }

    let settings: [String: Setting]
    let json: String

    /// The keys of single fields.
    var fieldKeys: [String] { settings.keys.filter { $0.hasPrefix(PolicyKey.fieldPrefix) }.sorted() }

    /// Reads the policy of a folder, or of the folder of a file.
    init(of place: Held) throws {
        guard let json = try ExtendedAttribute.read("user.policy.effective", of: place) else {
            throw ExitStatus.failed.because(
                "\(place.path) is neither a folder nor a file below an assetfs mount's folders/."
            )
        }
        self.json = json
        let members = try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: [String: String]] ?? [:]
        settings = members.mapValues { entry in
            let preset = entry["preset"].map { ", preset \($0)" } ?? ""
            return Setting(value: entry["value"] ?? "", origin: (entry["from"] ?? "") + preset)
        }
    }
}
