public import AssetModel
internal import Catalog
internal import Glibc
public import LibraryRules
public import LibraryStorage
internal import Synchronization

// Collections: folders of hard links to files in `folders/`. A sealed one is a group: immutable, with an
// identifier.
extension AssetLibrary {
    /// The maximum number of members of a group: Uploadcare's limit.
    static let memberLimit = 1000

    /// Returns whether a folder is `collections/`, or below it.
    public func isCollection(_ folder: NodeID) -> Bool { collections.has(folder) }

    /// Returns whether a folder is a group.
    public func isSealed(_ folder: NodeID) -> Bool { collections.isSealed(folder) }

    /// Refuses to make anything but folders in collections, and to make anything in groups.
    func refuseMaking(_ node: NodeRecord, in parent: NodeID) throws(LibraryError) {
        guard collections.has(parent) else { return }
        try refuseSealed(parent)
        guard node.isFolder else {
            throw .notPermitted("A collection holds links to files that are in folders/; make one with ln(1).")
        }
    }

    func refuseSealed(_ folder: NodeID) throws(LibraryError) {
        if collections.isSealed(folder) {
            throw .notPermitted("A group is immutable; only as a whole it can be removed, with rmdir(1).")
        }
    }

    /// Refuses to move a node into or out of the collections, a group, or a node into or out of a group.
    func refuseMoving(_ node: NodeRecord, from parent: NodeID, to newParent: NodeID) throws(LibraryError) {
        guard collections.has(parent) || collections.has(newParent) else { return }
        for folder in [parent, newParent, node.id] { try refuseSealed(folder) }
        guard collections.has(parent), collections.has(newParent) else {
            throw .notPermitted("A collection holds links: files come to it by ln(1), and leave it by rm(1).")
        }
    }

    /// Makes a collection a group, whose members and their order are fixed, and whose name is its identifier.
    ///
    /// That is Uploadcare's `uuid~N`, where N is the number of files, including those that are deleted later.
    func seal(_ id: NodeID, mode: UInt32) throws(LibraryError) -> NodeRecord {
        let (sealed, parent, former, name) = try write { records in
            guard var node = try records.node(id), let entry = try records.anyEntry(of: id) else {
                throw LibraryError.notFound
            }
            let members = try records.entries(of: id, after: 0, limit: Self.memberLimit + 1)
            guard !members.isEmpty else { throw LibraryError.invalid("A group has at least one member.") }
            guard members.count <= Self.memberLimit else {
                throw LibraryError.invalid("A group has at most \(Self.memberLimit) members; there are more.")
            }
            guard members.allSatisfy({ $0.node.asset != nil }) else {
                throw LibraryError.invalid("A group has assets as members, and no folders.")
            }
            let name = try EntryName(Array("\(Self.randomUUID())~\(members.count)".utf8))
            let now = Timestamp.now
            try records.moveEntry(entry.name, in: entry.parent, to: name, in: entry.parent)
            try records.touchFolder(entry.parent, at: now)
            try records.insertGroup(id, members: members.compactMap(\.node.asset), at: now)
            node.mode = node.mode & 0o170000 | mode & 0o7777
            node.changed = now
            try records.updateAttributes(of: node)
            return (node, entry.parent, entry.name, name)
        }
        collections.seal(id)
        rulebook.forget()
        tell(.moved(former, to: name, in: parent, node: id))
        return sealed
    }

    /// Returns a random identifier as text (RFC 9562, version 4).
    static func randomUUID() -> String {
        var generator = SystemRandomNumberGenerator()
        return AssetRecord.uuidText((0..<16).map { _ in UInt8.random(in: 0...255, using: &generator) })
    }

    /// Removes all members of a group, so that the group can be removed.
    func emptyGroup(_ id: NodeID, _ records: Records) throws {
        let now = Timestamp.now
        for entry in try records.entries(of: id, after: 0, limit: .max) {
            let name = try EntryName(entry.name)
            guard let node = try records.node(entry.node.id) else { continue }
            try records.deleteEntry(name, in: id)
            let left = try records.dropLink(of: node, at: now)
            if left.links == 0 { try records.noteLost(left.id) }
            try rulebook.trashIfLost(left, as: name, in: id, records)
        }
        try records.deleteGroup(id)
    }

    /// Returns a group's `info.json`, with Uploadcare's names, on one line; a deleted member is `null` there.
    public func groupInformation(_ id: NodeID, for reader: Uploader) throws(LibraryError) -> [UInt8] {
        try read { records in
            guard let name = try records.anyEntry(of: id)?.name, let created = try records.groupCreated(id) else {
                throw LibraryError.notFound
            }
            let members = try records.members(of: id)
            var files: [String] = []
            for member in members {
                guard let asset = try records.asset(member), let node = try records.nodes(showing: member).first,
                    let record = try records.node(node), !record.isExpired(at: clock.now)
                else {
                    files.append("null")
                    continue
                }
                var file = JSONObject()
                file.add("id", member.rawValue)
                file.add("uuid", asset.uuidText)
                // A user that may see the group need not be allowed to read all of its members.
                guard try mayRead(node, reader, records), record.access?.isHidden != true else {
                    files.append(String(decoding: file.bytes, as: UTF8.self))
                    continue
                }
                file.add("filename", try shownEntry(of: node, for: reader, records)?.name)
                file.add("original_filename", try? EntryName(asset.originalName))
                file.add("size", record.size)
                file.add("mime_type", try records.finding(named: "mime_type", of: member))
                files.append(String(decoding: file.bytes, as: UTF8.self))
            }
            var info = JSONObject()
            info.add("id", name)
            info.add("datetime_created", created.description)
            info.add("files_count", Int64(members.count))
            info.add("files", json: "[\(files.joined(separator: ","))]")
            return info.bytes + [0x0A]
        }
    }
}

/// The folders that are collections, and those of them that are groups; consulted at every change of a name.
///
/// ## Concurrency
/// `state` is held briefly.
final class Collections: Sendable {
    private let state = RankedMutex<(folders: Set<NodeID>, sealed: Set<NodeID>)>(.leaf, ([], []))

    /// Begins with the folders that the catalog knows.
    func begin(with folders: [NodeID], sealed: [NodeID]) { state.withLock { $0 = (Set(folders), Set(sealed)) } }

    func has(_ folder: NodeID) -> Bool { state.withLock { $0.folders.contains(folder) } }

    func isSealed(_ folder: NodeID) -> Bool { state.withLock { $0.sealed.contains(folder) } }

    /// Adds a folder that was made in a collection.
    func add(_ folder: NodeID) { state.withLock { _ = $0.folders.insert(folder) } }

    func seal(_ folder: NodeID) { state.withLock { _ = $0.sealed.insert(folder) } }

    /// Removes a folder that was deleted.
    func remove(_ folder: NodeID) {
        state.withLock { state in
            state.folders.remove(folder)
            state.sealed.remove(folder)
        }
    }
}
