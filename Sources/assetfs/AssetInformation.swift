import ArgumentParser
import AssetModel
import CLinux
import Foundation
import SystemPackage

/// The description of a file by assetfs: `user.asset.info`, or where that exceeds the size of an attribute,
/// the asset's `info.json`.
enum AssetInformation {
    /// Returns the JSON of a file or folder in a mount; nil where it has no asset.
    static func text(of place: Held, in mount: Held) throws -> String? {
        let (value, isTooLong) = try attribute(of: place)
        guard isTooLong else { return value.map { String(decoding: $0, as: UTF8.self) } }
        guard let id = try ExtendedAttribute.bytes("user.asset.id", of: place),
            let text = mount.find([Array("resources".utf8), id, Array("info.json".utf8)])?.contents()
        else {
            throw ExitStatus.failed.because(
                "\(place.path): user.asset.info has more than 64 KiB, and the file info.json in resources/ cannot be read."
            )
        }
        return String(decoding: text.last == 0x0A ? text.dropLast() : text[...], as: UTF8.self)
    }

    /// Returns the description of a file in the trash, which may have no `info.json`: without the members
    /// that exceed the size of an attribute.
    ///
    /// `isWhole` says whether the description is complete.
    static func members(ofTrashed file: Held) throws -> (members: [String: Any], isWhole: Bool)? {
        let (value, isTooLong) = try attribute(of: file)
        guard isTooLong else {
            let members = try value.flatMap { try JSONSerialization.jsonObject(with: Data($0)) as? [String: Any] }
            return members.map { ($0, true) }
        }
        guard let id = try ExtendedAttribute.read("user.asset.id", of: file).flatMap(Int.init) else { return nil }
        var members: [String: Any] = ["id": id, "size": Int(file.status.st_size)]
        for key in ["uuid", "path", "trashed", "trashed_until", "original_filename", "mime_type", "sha256"] {
            if let value = try ExtendedAttribute.read("user.asset.\(key)", of: file) { members[key] = value }
        }
        return (members, false)
    }

    private static func attribute(of place: Held) throws -> (value: [UInt8]?, isTooLong: Bool) {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        let size = buffer.count
        let count = unsafe getxattr(place.link, "user.asset.info", &buffer, size)
        if count >= 0 { return (Array(buffer.prefix(count)), false) }
        // > E2BIG  The size of the attribute value is larger than the maximum size allowed — getxattr(2)
        if errno == E2BIG || errno == ERANGE { return (nil, true) }
        return (try ExtendedAttribute.bytes("user.asset.info", of: place), false)
    }
}
