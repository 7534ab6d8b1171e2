import BlobStore
import AssetModel
import Catalog
import Foundation

/// A library that the built `assetfs` has mounted for one test.
public struct MountedLibrary {
    /// The mountpoint.
    public let root: String
    /// The path of the library.
    public let library: String
    /// A folder beside the mount, for sources and copies.
    public let scratch: String
    /// The folder of the mount in which users put files.
    public var folders: String { root + "/folders" }
    let process: Process
    /// The process number of its daemon.
    public var daemon: Int32 { process.processIdentifier }

    /// Returns the path of a name in `folders/`.
    public func path(_ name: String) -> String { "\(folders)/\(name)" }

    /// Writes a file as most programs do: open with O_TRUNC, write, close.
    public func write(_ name: String, _ bytes: [UInt8]) throws {
        _ = FileManager.default.createFile(atPath: scratch + "/source", contents: Data(bytes))
        try run("cp", scratch + "/source", path(name)).check()
    }

    /// Returns all bytes of a file.
    public func read(_ name: String) throws -> [UInt8] {
        [UInt8](try Data(contentsOf: URL(fileURLWithPath: path(name))))
    }

    /// Returns all receipts, one per line of the file.
    public func receipts() throws -> [[String: Any]] {
        try String(contentsOfFile: root + "/uploads/receipts.jsonl", encoding: .utf8).split(separator: "\n").map {
            try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any] ?? [:]
        }
    }

    /// Returns the newest receipt; reads the end of the file only.
    public func lastReceipt() throws -> [String: Any] {
        guard let file = FileHandle(forReadingAtPath: root + "/uploads/receipts.jsonl") else {
            throw TestFailure("no receipts")
        }
        defer { try? file.close() }
        let end = try file.seekToEnd()
        try file.seek(toOffset: end > 4096 ? end - 4096 : 0)
        let line = String(decoding: try file.readToEnd() ?? Data(), as: UTF8.self).split(separator: "\n").last ?? ""
        return try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any] ?? [:]
    }

    /// Returns the value of an extended attribute.
    public func attribute(_ name: String, of file: String) throws -> String {
        try run("getfattr", "--only-values", "-n", name, path(file)).check().output
    }
}

/// Mounts a new library, runs `body`, unmounts, and checks the state that each mounted test must leave
/// behind: a clean exit, an empty `staging/`, a sound catalog, every blob present under its digest, and no
/// error in the log.
///
/// After `seconds` a hanging test is ended by aborting the FUSE connection through sysfs, because neither a
/// time limit nor a signal reaches a process that waits in the kernel. `ASSETFS_SLOWNESS` is a factor for all
/// time limits, for runs under a sanitizer.
public func withMountedLibrary(
    _ name: String = #function,
    options: [String] = [],
    in parent: String = "/tmp",
    seconds: Int = 600,
    _ body: (MountedLibrary) throws -> Void
) throws {
    try withScratch(name, in: parent) { scratch in
        let (root, library) = ("\(scratch)/mount", "\(scratch)/library")
        try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
        try remount(library, on: root, scratch: scratch, options: options, seconds: seconds, body)
        try checkLibrary(library)
    }
}

/// Runs `body` with a scratch folder that has two mountpoints, `one` and `two`; afterwards ends all mounts
/// that were made there in the background.
public func withPlace(_ name: String = #function, _ body: (String) throws -> Void) throws {
    try withScratch(name) { path in
        for folder in ["one", "two"] {
            try FileManager.default.createDirectory(atPath: "\(path)/\(folder)", withIntermediateDirectories: true)
        }
        defer {
            for folder in ["one", "two"] { _ = try? run("umount", "-l", "\(path)/\(folder)") }
            _ = try? run("pkill", "-f", "assetfs mount.*\(path)/")
            // A daemon that was started with a relative path has the folder as its working directory.
            for pid in ((try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []).compactMap(Int32.init)
            where (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(pid)/cwd")) == path {
                kill(pid, SIGKILL)
            }
        }
        try body(path)
    }
}

/// Runs a shell script in a new mount that other users may access.
public func runScript(_ script: String, _ name: String = #function) throws {
    try withMountedLibrary(name, options: ["allow_other"]) { mount in
        try run("chmod", "755", mount.scratch).check()
        try run("bash", "-c", scriptPrelude(mount) + script).check()
    }
}

/// Returns the beginning of a script: `$DAEMON` is the mount's process, `as UID command` runs a command as
/// another user, `fails command` expects a failure, `value KEY FILE` reads `user.asset.KEY`, and `is A B`
/// compares.
public func scriptPrelude(_ mount: MountedLibrary) -> String {
    """
    set -eu; cd \(mount.root); umask 022; ASSETFS=\(assetfs); DAEMON=\(mount.process.processIdentifier); MOUNT=\(mount.root); SCRATCH=\(mount.scratch)
    as() { setpriv --reuid $1 --regid $1 --clear-groups "${@:2}"; }
    fails() { if "$@" 2> /dev/null; then echo "this succeeded: $*" >&2; exit 1; fi; }
    value() { getfattr --only-values -n user.asset.$1 "$2" 2> /dev/null; }
    is() { [ "$1" = "$2" ] || { echo "line ${BASH_LINENO[0]}: “$1” is not “$2”" >&2; exit 1; }; }

    """
}

/// Mounts a library in the foreground, runs `body`, unmounts and waits for the daemon to exit.
public func remount(
    _ library: String,
    on root: String,
    scratch: String,
    options: [String] = [],
    seconds: Int = 600,
    _ body: (MountedLibrary) throws -> Void
) throws {
    let process = Process()
    // A file, because a full pipe without a reader would block the daemon when it writes many lines.
    let log = "\(scratch)/log-\(UUID().uuidString.prefix(8))"
    _ = FileManager.default.createFile(atPath: log, contents: nil)
    defer { try? FileManager.default.removeItem(atPath: log) }
    func lines() -> String { (try? String(contentsOfFile: log, encoding: .utf8)) ?? "" }
    process.executableURL = URL(fileURLWithPath: assetfs)
    // Tests are quick: by default a version that was current for less than a minute is not kept.
    let keepsAll = options.contains { $0.hasPrefix("policy.versions=") } ? [] : ["policy.versions=all"]
    process.arguments = ["mount", "--foreground", library, root] + (keepsAll + options).flatMap { ["-o", $0] }
    process.standardInput = FileHandle.nullDevice
    process.standardError = FileHandle(forWritingAtPath: log)
    try process.run()
    while process.isRunning, !lines().contains("Mounted") { usleep(2000) }
    guard lines().contains("Mounted") else { throw TestFailure("not mounted: \(lines())") }
    let watchdog = Watchdog(root, seconds: seconds)
    do {
        try body(MountedLibrary(root: root, library: library, scratch: scratch, process: process))
    } catch {
        watchdog.end()
        process.terminate()
        process.waitUntilExit()
        throw error
    }
    watchdog.end()
    let unmount = try run(assetfs, "umount", root)
    if unmount.status != 0 { process.terminate() }
    process.waitUntilExit()
    let said = lines()
    guard unmount.status == 0 else { throw TestFailure("not unmounted: \(unmount.errors)") }
    guard process.terminationStatus == 0 else { throw TestFailure("ended with \(process.terminationStatus): \(said)") }
    let complaints = said.split(separator: "\n").filter { $0.contains("Z error: ") || $0.contains("Fatal") }
    guard complaints.isEmpty else { throw TestFailure("the log complains: \(complaints)") }
}

/// Checks an unmounted library: an empty `staging/`, a sound catalog, every blob present with its bytes.
public func checkLibrary(_ library: String) throws {
    let staged = try FileManager.default.contentsOfDirectory(atPath: "\(library)/staging")
    guard staged.isEmpty else { throw TestFailure("left in staging: \(staged)") }
    let counts = invariants.map { fault, query in
        "SELECT '\(fault.replacingOccurrences(of: "'", with: "''"))' AS fault, count(*) AS count FROM \(query)"
    }
    let said = try run(
        "sqlite3",
        "\(library)/catalog.sqlite",
        "PRAGMA integrity_check; SELECT fault || ': ' || count FROM (\(counts.joined(separator: " UNION ALL "))) WHERE count != 0;"
    ).check().output
    guard said == "ok\n" else { throw TestFailure("catalog: \(said)") }
    let catalog = try Catalog(path: "\(library)/catalog.sqlite") {}
    let store = try BlobStore(at: library)
    for other in try catalog.read({ try $0.stores() }) {
        try store.attach(other.id, named: other.name, at: other.path, identifier: other.identifier, isNew: false)
    }
    for blob in try catalog.read({ try $0.blobs(after: BlobID(rawValue: 0), limit: .max) }) {
        guard let digest = blob.digest else { throw TestFailure("blob \(blob.id) has no digest") }
        let found = try Digest(reading: try store.open(digest, size: blob.size), size: blob.size)
        guard found == digest else { throw TestFailure("blob \(digest) has the bytes of \(found)") }
    }
    try catalog.close()
}

/// Queries of rows that a catalog must not have, each with a description.
private let invariants = [
    (
        "assets that are neither shown nor in the trash, nor made without a file",
        """
        asset a WHERE trashed IS NULL AND NOT EXISTS (SELECT 1 FROM node WHERE asset = a.id AND links > 0)
        AND NOT EXISTS (SELECT 1 FROM entry WHERE parent = 8 AND name = CAST(CAST(a.id AS TEXT) AS BLOB))
        """
    ),
    (
        "assets in the trash that a file shows",
        "asset a WHERE trashed IS NOT NULL AND EXISTS (SELECT 1 FROM node WHERE asset = a.id AND links > 0)"
    ),
    ("files of assets that are not there", "node WHERE asset IS NOT NULL AND asset NOT IN (SELECT id FROM asset)"),
    ("versions of assets that are not there", "version WHERE asset NOT IN (SELECT id FROM asset)"),
    ("fields of assets that are not there", "field WHERE asset NOT IN (SELECT id FROM asset)"),
    ("versions of blobs that are not there", "version WHERE blob IS NOT NULL AND blob NOT IN (SELECT id FROM blob)"),
    ("files of blobs that are not there", "node WHERE blob IS NOT NULL AND blob NOT IN (SELECT id FROM blob)"),
    (
        "nodes without a name that are not in the trash",
        "node n WHERE links = 0 AND NOT EXISTS (SELECT 1 FROM asset WHERE trashed_node = n.id)"
    ),
    (
        "blobs whose uses are miscounted",
        """
        blob b WHERE uses != (SELECT count(*) FROM version WHERE blob = b.id) + (SELECT count(*) FROM node WHERE blob = b.id)
        OR shown != (SELECT count(*) FROM node WHERE blob = b.id AND links > 0) OR (uses = 0) != (unused IS NOT NULL)
        """
    ),
    (
        "bytes to reclaim that are miscounted",
        "space WHERE reclaimable != (SELECT coalesce(sum(size), 0) FROM blob WHERE shown = 0 AND store = 0)"
    ),
    (
        "bytes of users' attributes that are miscounted",
        """
        (SELECT 1 FROM (
            SELECT uid, 32 + length(name) + length(value) AS bytes FROM extended_attribute
            UNION ALL SELECT uid, 32 + length(key) + length(CAST(value AS BLOB)) FROM policy
            UNION ALL SELECT uid, 32 + length(name) + length(CAST(value AS BLOB)) FROM field
            UNION ALL SELECT uid, 32 + length(name) + length(value) FROM desktop_value
            UNION ALL SELECT uid, -bytes FROM attribute_share) GROUP BY uid HAVING sum(bytes) <> 0)
        """
    ),
    (
        "masked bytes that are miscounted",
        "space WHERE masked != (SELECT coalesce(sum(size), 0) FROM (SELECT max(size) size FROM masked_copy WHERE shown GROUP BY peers))"
    ),
    (
        "masked copies that are no copies",
        """
        masked_copy m WHERE NOT EXISTS (SELECT 1 FROM node n WHERE n.id = m.node AND n.blob = m.blob AND (n.links > 0) = m.shown)
        OR m.shown AND (SELECT b.shown FROM blob b WHERE b.id = m.blob)
            <= (SELECT count(*) FROM masked_copy c WHERE c.blob = m.blob AND c.shown)
        """
    ),
    (
        "files that do not have their asset's access or end",
        "node n JOIN asset a ON a.id = n.asset WHERE n.access != a.access OR n.expires IS NOT a.expires"
    ),
    (
        "former contents that are not marked as such, or present ones that are",
        """
        version v WHERE (superseded IS NULL)
        != (number = (SELECT max(number) FROM version WHERE asset = v.asset))
        """
    ),
    (
        "removed folders whose assets in the trash are miscounted",
        """
        removed_folder r WHERE assets < 1 OR assets != (SELECT count(*) FROM asset a WHERE a.trashed_parent IN (
            WITH RECURSIVE below (id) AS (SELECT r.node UNION SELECT o.node FROM below b JOIN removed_folder o ON o.parent = b.id)
            SELECT id FROM below))
        """
    ),
    ("moves of contents that are not there", "store_due WHERE blob NOT IN (SELECT id FROM blob)"),
    ("damage of contents that are not there", "damage WHERE blob NOT IN (SELECT id FROM blob)"),
    ("names of nodes that are not there", "entry WHERE node NOT IN (SELECT id FROM node)"),
    (
        "nodes whose names are miscounted",
        "node n WHERE mode & 61440 != 16384 AND links != (SELECT count(*) FROM entry WHERE node = n.id)"
    ),
    (
        // An empty file is allowed: a crash may come between its creation and its first commit.
        "files that are not their asset's newest version",
        """
        node n JOIN version v ON v.asset = n.asset WHERE n.links > 0 AND n.blob IS NOT NULL AND v.blob IS NOT n.blob
        AND v.number = (SELECT max(number) FROM version WHERE asset = n.asset)
        """
    ),
]

/// Aborts the FUSE connection of a mount when its time limit is reached.
private final class Watchdog {
    private let timer: DispatchWorkItem

    init(_ root: String, seconds: Int) {
        let minor = Self.minor(of: root)
        let work = DispatchWorkItem {
            guard let minor else { return }
            try? "1".write(toFile: "/sys/fs/fuse/connections/\(minor)/abort", atomically: false, encoding: .utf8)
        }
        timer = work
        let slowness = ProcessInfo.processInfo.environment["ASSETFS_SLOWNESS"].flatMap(Int.init) ?? 1
        DispatchQueue.global().asyncAfter(deadline: .now() + .seconds(seconds * slowness), execute: work)
    }

    func end() { timer.cancel() }

    private static func minor(of root: String) -> String? {
        let table = (try? String(contentsOfFile: "/proc/self/mountinfo", encoding: .utf8)) ?? ""
        let line = table.split(separator: "\n").last { $0.split(separator: " ").dropFirst(4).first == Substring(root) }
        return line?.split(separator: " ").dropFirst(2).first?.split(separator: ":").last.map(String.init)
    }
}
