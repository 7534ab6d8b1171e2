public import AssetModel
internal import Catalog
internal import LibraryRules
public import LibraryStorage
internal import Synchronization

// Flags of chattr(1), kept as an attribute that programs cannot see. They cost nothing while no file has any.
extension AssetLibrary {
    /// Returns the flags of a file or folder.
    public func flags(of id: NodeID) throws(LibraryError) -> FileFlags {
        guard mayHaveFlags.load(ordering: .relaxed), kernelAttributes.mayHave(KernelAttributes.flags, id) else {
            return []
        }
        return try read { try $0.flags(of: id) }
    }

    /// Records the flags of a file or folder, after the kernel has checked the caller's right to set them.
    ///
    /// An asset does not expire while its file is immutable or append-only.
    public func setFlags(of id: NodeID, to flags: FileFlags, by uid: UInt32) throws(LibraryError) {
        guard flags.isSubset(of: .known) else {
            throw .unsupported("Of the flags of chattr(1) only i, a, A and d are kept.")
        }
        // A pending upload is committed first.
        try settleIfQuick(id)
        try space.take(4096)
        mayHaveFlags.store(true, ordering: .relaxed)
        if !flags.isEmpty { kernelAttributes.add(KernelAttributes.flags, id) }
        try write { records in
            guard let node = try records.node(id) else { throw LibraryError.notFound }
            try refuseFormerOwner(of: node, by: uid)
            // As on ext4, nothing else changes while a file stays immutable.
            let former = try records.flags(of: id)
            if former.contains(.immutable), flags.contains(.immutable), flags != former {
                throw Self.isFixed(.immutable)
            }
            if flags.isEmpty {
                try removeKernelAttribute(KernelAttributes.flags, of: id, records)
            } else {
                try records.setExtendedAttribute(
                    Array(KernelAttributes.flags.utf8),
                    of: id,
                    to: Array("\(flags.rawValue)".utf8)
                )
            }
            if let asset = node.asset {
                try records.setMayExpire(asset, try !records.isFixed(asset))
            }
            try records.addLinks(0, to: id, at: .now)
        }
        sweeper.wake()
    }

    /// Refuses to change a fixed file or folder, its attributes, or the number of its names.
    func refuseFixed(_ id: NodeID, _ which: FileFlags = .fixed) throws(LibraryError) {
        guard mayHaveFlags.load(ordering: .relaxed) else { return }
        let found = try flags(of: id).intersection(which)
        guard found.isEmpty else { throw Self.isFixed(found) }
    }

    /// Refuses to write to an immutable file through a handle that was opened before the file became
    /// immutable.
    public func refuseWriting(to id: NodeID) throws(LibraryError) { try refuseFixed(id, .immutable) }

    /// Refuses to open a fixed file for writing, unless it is append-only and the program only appends.
    public func refuseOpening(_ id: NodeID, appends: Bool) throws(LibraryError) {
        try refuseFixed(id, appends ? .immutable : .fixed)
    }

    /// Refuses to change the attributes of a fixed file, except the times of an append-only one.
    public func refuseAttributes(of id: NodeID, isTouch: Bool) throws(LibraryError) {
        try refuseFixed(id, isTouch ? .immutable : .fixed)
    }

    /// Refuses to remove a name from a fixed folder, or a name of a fixed file.
    func refuseVacating(_ name: EntryName, in parent: NodeID) throws(LibraryError) {
        guard mayHaveFlags.load(ordering: .relaxed) else { return }
        try refuseFixed(parent)
        if let node = try read({ try $0.node(named: name, in: parent) }) { try refuseFixed(node.id) }
    }

    /// Refuses to replace the content of an asset's fixed file from elsewhere.
    func refuseReplacing(_ asset: AssetID) throws(LibraryError) {
        guard mayHaveFlags.load(ordering: .relaxed) else { return }
        if try read({ try $0.isFixed(asset) }) { throw Self.isFixed(.immutable) }
    }

    private static func isFixed(_ flags: FileFlags) -> LibraryError {
        let isImmutable = flags.contains(.immutable)
        return .notPermitted(
            isImmutable
                ? "It is immutable; chattr -i ends that." : "It is append-only; chattr -a ends that."
        )
    }
}

extension Records {
    func flags(of id: NodeID) throws -> FileFlags {
        let value = try extendedAttribute(Array(KernelAttributes.flags.utf8), of: id)
        return FileFlags(rawValue: value.flatMap { UInt32(String(decoding: $0, as: UTF8.self)) } ?? 0)
    }

    /// Returns whether any file that shows an asset is immutable or append-only.
    func isFixed(_ asset: AssetID) throws -> Bool {
        try nodes(showing: asset).contains { try !flags(of: $0).isDisjoint(with: .fixed) }
    }
}
