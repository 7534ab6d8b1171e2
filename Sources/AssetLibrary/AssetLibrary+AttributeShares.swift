internal import AssetModel
internal import Catalog
internal import Glibc
internal import LibraryRules
internal import LibraryStorage
internal import Logging
internal import Synchronization

/// The limit on the bytes of attributes, fields and policies that one user may have set in a library.
///
/// The catalog has the sums. They are read whenever such a value is set, and never by an upload.
///
/// ## Concurrency
/// `refusals` is held briefly.
final class AttributeShares: Sendable {
    /// The limit for one user, in bytes.
    let limit: Int64
    /// The users without a limit: root, and the user of the mount's process.
    let exempt: Set<UInt32>
    /// The time at which the log last had a refusal of each user.
    private let refusals = RankedMutex<[UInt32: ContinuousClock.Instant]>(.leaf, [:])

    /// Sets the limit to 1/512 of the disk, since catalogs of large libraries may be large.
    ///
    /// It is at least 16 MiB, and at most 1 GiB, which a catalog copes with.
    init(disk: statvfs) {
        let size = Int64(clamping: disk.f_blocks).multipliedReportingOverflow(by: Int64(clamping: disk.f_frsize))
        limit = min(max((size.overflow ? .max : size.partialValue) / 512, 16 << 20), 1 << 30)
        exempt = [0, getuid()]
    }

    /// Returns whether a user's refusal is to be logged: once a minute, because a program that tries again
    /// and again would fill the disk with log lines.
    func isNewRefusal(of uid: UInt32) -> Bool {
        refusals.withLock { refusals in
            if let last = refusals[uid], .now - last < .seconds(60) { return false }
            if refusals.count >= 1000 { refusals = [:] }
            refusals[uid] = .now
            return true
        }
    }
}

// Attributes count for the user that sets them, on any user's file. So no user takes room from another, and
// removing attributes always gives the room back to the user that had it.
extension AssetLibrary {
    /// Refuses attributes of a file or folder that exceed a user's share.
    func refuseAttributes(
        on node: NodeRecord,
        _ attributes: [(name: [UInt8], value: [UInt8])],
        by uid: UInt32,
        _ records: Records
    ) throws {
        let size = attributes.reduce(0) { $0 + $1.name.count + $1.value.count + Int(Records.attributeOverhead) }
        try refuseShare(of: uid, Int64(size), records) {
            try records.attributeBytes(of: uid, on: node, names: attributes.map(\.name), field: nil)
        }
    }

    /// Refuses a field's value, or bytes under a desktop's name that are no value of the field, if they
    /// exceed a user's share.
    func refuseField(
        _ field: Field,
        on node: NodeRecord,
        _ name: [UInt8],
        _ value: [UInt8],
        isValue: Bool,
        by uid: UInt32,
        _ records: Records
    ) throws {
        let own = AttributeName.bytes(of: field)
        let names = isValue && name != own ? [own, name] : [name]
        let kept = names.map { $0 == own && node.asset != nil ? field.name.utf8.count : $0.count }
        let size = kept.reduce(0) { $0 + $1 + value.count + Int(Records.attributeOverhead) }
        try refuseShare(of: uid, Int64(size), records) {
            try records.attributeBytes(of: uid, on: node, names: names, field: isValue ? field : nil)
        }
    }

    /// Refuses a folder's policy that exceeds a user's share.
    func refusePolicy(
        _ key: PolicyKey,
        of folder: NodeID,
        _ value: [UInt8],
        by uid: UInt32,
        _ records: Records
    ) throws {
        let size = Int64(key.rawValue.utf8.count + value.count) + Records.attributeOverhead
        try refuseShare(of: uid, size, records) { try records.policyBytes(of: uid, key, of: folder) }
    }

    /// Refuses `size` bytes that exceed a user's share; they replace as many bytes of that user as `former`
    /// returns.
    private func refuseShare(
        of uid: UInt32,
        _ size: Int64,
        _ records: Records,
        insteadOf former: () throws -> Int64
    ) throws {
        if attributeShares.exempt.contains(uid) { return }
        let held = try records.attributeBytes(of: uid)
        guard held + size > attributeShares.limit, try former() < size else { return }
        guard try held + size - former() > attributeShares.limit else { return }
        let sentence =
            "has set \(held) bytes of attributes, fields and policies, and may have \(attributeShares.limit) in this library"
        if attributeShares.isNewRefusal(of: uid) { log.notice("User \(uid) \(sentence); more are refused.") }
        throw LibraryError.refused(
            UploadRejection(
                kind: .quota,
                sentence: "User \(uid) \(sentence): remove some, set shorter ones, or have root set them."
            )
        )
    }
}
