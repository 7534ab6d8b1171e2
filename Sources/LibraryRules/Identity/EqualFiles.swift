public import AssetModel
public import Catalog
internal import LibraryStorage

/// A search among the files that show a blob, of which there may be very many: each catalog operation reads
/// one page of them, so that other operations run in between, and the one that has read the last page
/// decides.
///
/// A file that enters or leaves a folder during the search counts as it was when its page was read.
///
/// ## Concurrency
/// Used by the thread that decides, and by no other.
public final class EqualFiles {
    /// There are more pages; nothing has been changed.
    private struct Unfinished: Error {}

    private struct Key: Hashable {
        let blob: BlobID
        let folder: NodeID?
        let isOfNames: Bool
    }

    private struct Look {
        var found: [HolderRecord] = []
        var position = HolderPosition()
        /// How many files were examined.
        var looked = 0
    }

    /// The number of files that one operation of the catalog reads.
    public static let page = 256

    private var looks: [Key: Look] = [:]
    private var isUnfinished = false

    /// Begins a search.
    public init() {}

    /// Returns wanted files that show a blob, one of each asset, at most `limit` of them; with a folder, of
    /// the files in it.
    ///
    /// `isWanted` returns nil for files that do not count. Of those that do, at most `lookedAt` are examined.
    /// - Throws: an error that `tryAgain` recognizes, where there are more files than one operation reads.
    public func find(
        _ blob: BlobID,
        in folder: NodeID?,
        isOfNames: Bool = false,
        limit: Int,
        lookedAt: Int = .max,
        _ records: Records,
        _ isWanted: (HolderRecord) throws -> Bool?
    ) throws -> [HolderRecord] {
        let key = Key(blob: blob, folder: folder, isOfNames: isOfNames)
        var look = looks[key] ?? Look()
        // Files found in an earlier operation may have changed meanwhile.
        look.found = try look.found.filter {
            try records.isShown($0, with: blob) && isWanted($0) == true
        }
        var isEnough: Bool { look.found.count >= limit || look.looked >= lookedAt }
        var isEnd = isEnough
        if !isEnd {
            let (position, wasLast) = try records.holders(
                of: blob,
                in: folder,
                behind: look.position,
                limit: EqualFiles.page
            ) { holder in
                guard !look.found.contains(where: { $0.asset == holder.asset }) else { return true }
                guard let isWanted = try isWanted(holder) else { return true }
                look.looked += 1
                if isWanted { look.found.append(holder) }
                return !isEnough
            }
            look.position = position
            isEnd = wasLast || isEnough
        }
        looks[key] = look
        guard isEnd else {
            isUnfinished = true
            throw Unfinished()
        }
        return look.found
    }

    /// Returns whether an operation has failed only because there are more files to be read.
    public func tryAgain() -> Bool {
        defer { isUnfinished = false }
        return isUnfinished
    }
}

extension Catalog {
    /// Runs `body`, which decides before it changes anything, in as many operations as its search for equal
    /// files takes.
    public func write<Value>(
        judging equal: EqualFiles,
        _ body: (Records) throws -> Value,
        then apply: (Value) -> Void = { _ in }
    ) throws -> Value {
        while true {
            do { return try write(body, then: apply) } catch { guard equal.tryAgain() else { throw error } }
        }
    }
}
