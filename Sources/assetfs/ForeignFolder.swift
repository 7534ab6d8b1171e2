import AssetModel
import CLinux
import Foundation
import SystemPackage

/// A folder above a library in which another user can put another folder in the library's place.
///
/// The daemon opens some of its files by their path. A user that can rename a folder on the way could make it
/// write into another library, or into any folder of the mounter.
enum ForeignFolder {
    /// Returns why users other than the mounter and root can change an absolute path: the end of a sentence
    /// that begins with the path; nil where they cannot.
    ///
    /// Links on the way are checked together with their folders. A missing rest of the path is made by the
    /// mounter.
    static func reason(above path: FilePath) -> Sentence? {
        var (folder, rest, links) = ([[UInt8]](), Array(path.names.reversed()), 0)
        while let name = rest.popLast() {
            if name == [0x2E] { continue }
            if name == [0x2E, 0x2E] {
                _ = folder.popLast()
                continue
            }
            let place = FilePath(bytes: [0x2F] + folder.joined(separator: [0x2F]))
            if let reason = reason(for: place) {
                return
                    "is below \(place), \(reason), so that others could put something else in its place. Choose a folder that only root and user \(geteuid()) can change, or make \(place) such a folder."
            }
            // Up to here no other user can change the path.
            if links < 40, let target = place.appending(name: name).linkTarget() {
                links += 1
                if target.first == 0x2F { folder = [] }
                rest += FilePath(bytes: target).names.reversed()
            } else {
                folder.append(name)
            }
        }
        return nil
    }

    /// Returns the user or group besides root and the mounter that can change a folder; nil where there is
    /// none, or no folder.
    private static func reason(for folder: FilePath) -> Sentence? {
        guard let status = folder.status() else { return nil }
        let isUnknown = status.st_uid == unknownUser && !knowsAllUsers && status.st_mode & 0o022 == 0
        if ![0, geteuid()].contains(status.st_uid), !isUnknown { return "which belongs to user \(status.st_uid)" }
        // > a directory […] may be renamed or removed only by the owner of the file, the directory or a
        // > privileged process — unlink(2) on S_ISVTX
        if status.st_mode & S_ISVTX != 0 { return nil }
        if status.st_mode & 0o002 != 0 { return "which all users may write to" }
        if status.st_mode & 0o020 != 0, !isOfMounter(group: status.st_gid) || hasAccessList(folder) {
            return "which group \(status.st_gid) may write to"
        }
        return nil
    }

    /// Returns whether a group has the mounter as its only member, as the groups that many systems make for
    /// each user do.
    private static func isOfMounter(group: gid_t) -> Bool {
        guard let user = unsafe getpwuid(geteuid()), unsafe user.pointee.pw_gid == group else { return false }
        let name = unsafe String(cString: user.pointee.pw_name)
        guard let entry = unsafe getgrgid(group), unsafe String(cString: entry.pointee.gr_name) == name else {
            return false
        }
        var member = unsafe entry.pointee.gr_mem
        while let text = unsafe member?.pointee {
            if unsafe String(cString: text) != name { return false }
            unsafe member = member?.advanced(by: 1)
        }
        return true
    }

    /// Returns whether the group bits are the mask of an access list, which may name other users.
    private static func hasAccessList(_ folder: FilePath) -> Bool {
        unsafe folder.withC { unsafe getxattr($0, "system.posix_acl_access", nil, 0) } > 0
    }

    /// The owner that files seem to have whose real owner is unknown in this user namespace:
    /// user_namespaces(7).
    private static let unknownUser: uid_t = {
        let text = FilePath("/proc/sys/kernel/overflowuid").contents() ?? []
        return uid_t(String(decoding: text.filter { $0 > 0x20 }, as: UTF8.self)) ?? 65_534
    }()

    /// Whether this is the initial user namespace of the system.
    private static let knowsAllUsers: Bool = {
        let text = String(decoding: FilePath("/proc/self/uid_map").contents() ?? [], as: UTF8.self)
        return text.split(whereSeparator: \.isWhitespace).map(String.init) == ["0", "0", "4294967295"]
    }()
}
