import AssetModel
import CLinux
import Foundation

/// The former properties of a removed folder, from `user.asset.removed_folders` of a file in the trash.
struct FormerFolder {
    let mode: mode_t
    let uid: uid_t
    let gid: gid_t
    let accessList: [UInt8]?
    let defaultList: [UInt8]?
    let policies: [String: String]

    /// Reads the properties of the folders on the way to a file in the trash, by the number of names that
    /// lead to each.
    static func all(of file: Held) throws -> [Int: FormerFolder] {
        try ExtendedAttribute.bytes("user.asset.removed_folders", of: file).map(all) ?? [:]
    }

    /// Reads the attribute's value.
    static func all(in text: [UInt8]) -> [Int: FormerFolder] {
        guard let object = try? JSONSerialization.jsonObject(with: Data(text)) as? [String: Any],
            let folders = object["folders"] as? [[String: Any]]
        else { return [:] }
        var found: [Int: FormerFolder] = [:]
        for folder in folders { if let depth = folder["depth"] as? Int { found[depth] = FormerFolder(folder) } }
        return found
    }

    init?(_ object: [String: Any]) {
        guard let digits = object["mode"] as? String, digits.utf8.allSatisfy({ (0x30...0x37).contains($0) }),
            let mode = mode_t(digits, radix: 8),
            let uid = (object["uid"] as? Int).flatMap(uid_t.init(exactly:)),
            let gid = (object["gid"] as? Int).flatMap(gid_t.init(exactly:)),
            // A folder whose lists cannot be read stays closed to all users but its maker.
            let access = ((object["access_list"] ?? "") as? String).flatMap([UInt8].init(hexadecimal:)),
            let defaults = ((object["default_list"] ?? "") as? String).flatMap([UInt8].init(hexadecimal:))
        else { return nil }
        (self.mode, self.uid, self.gid) = (mode, uid, gid)
        accessList = access.isEmpty ? nil : access
        defaultList = defaults.isEmpty ? nil : defaults
        policies = object["policies"] as? [String: String] ?? [:]
    }
}

/// The folders that were made again for restored files: open to their makers alone, until all files are
/// there.
///
/// Then each gets its former owner, group, mode, access lists and policies, as far as the caller may set
/// them, and is never open to more users than before.
final class RestoredFolders {
    private var made: [(folder: Held, former: FormerFolder)] = []
    private var owner: uid_t?
    private static let limit = 256

    /// Begins with another file: before files of another owner are restored, the folders get their final
    /// properties.
    func begin(_ file: Held) {
        if owner != file.status.st_uid || made.count >= Self.limit { finish() }
        owner = file.status.st_uid
    }

    /// Adds a folder that the user `maker` has just made; one that another user has put in its place is left
    /// alone.
    func add(_ folder: Held, _ former: FormerFolder, maker: uid_t) {
        guard folder.status.st_uid == maker, folder.status.st_mode & 0o077 == 0, folder.entries()?.isEmpty == true
        else {
            return
        }
        made.append((folder, former))
    }

    /// Gives all folders their former properties; inner ones first, because the outer ones may then be closed
    /// to the caller.
    func finish() {
        for (folder, former) in made.reversed() { Self.finish(folder, former) }
        made = []
    }

    private static func finish(_ folder: Held, _ former: FormerFolder) {
        for (key, value) in former.policies { try? ExtendedAttribute.set("user.policy.\(key)", of: folder, to: value) }
        let empty: Int32 = 0x1000  // AT_EMPTY_PATH
        if geteuid() == 0, folder.status.st_uid != former.uid,
            unsafe fchownat(folder.descriptor, "", former.uid, gid_t.max, empty) != 0
        {
            return note(folder)
        }
        var hasGroup = folder.status.st_gid == former.gid
        if !hasGroup { hasGroup = unsafe fchownat(folder.descriptor, "", uid_t.max, former.gid, empty) == 0 }
        let hasLists = former.accessList != nil || former.defaultList != nil
        // Lists that the folder has inherited from the one above are removed.
        for name in [accessName, defaultName] { unsafe _ = removexattr(folder.link, name) }
        var mode = former.mode & 0o7777
        if !hasGroup {
            // Another group gets no more than both the former group and all other users had.
            let common = hasLists ? 0 : mode & mode >> 3 & 0o007
            mode = mode & 0o1700 | common << 3 | common
        }
        if hasGroup, hasLists {
            let isSet = set(accessName, former.accessList, folder) && set(defaultName, former.defaultList, folder)
            if !isSet {
                for name in [accessName, defaultName] { unsafe _ = removexattr(folder.link, name) }
                mode &= 0o1700
            }
        }
        if unsafe chmod(folder.link, mode) != 0 { note(folder) }
    }

    private static let accessName = "system.posix_acl_access"
    private static let defaultName = "system.posix_acl_default"

    private static func set(_ name: String, _ list: [UInt8]?, _ folder: Held) -> Bool {
        guard let list else { return true }
        return unsafe setxattr(folder.link, name, list, list.count, 0) == 0
    }

    private static func note(_ folder: Held) {
        Output.note("\(folder.path) was made again, and could not be given what it had: \(systemReason).")
    }
}
