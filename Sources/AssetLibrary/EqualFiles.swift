internal import AssetModel
internal import Catalog

/// A look at the files with a content, of which there may be very many: each step of the catalog looks at a page of them, so that others
/// come in between, and the one that has looked at the last page decides.
///
/// A file that comes into a folder where equal files are looked for, or goes from there, while others are looked at, counts as it was
/// when it was looked at.
///
/// ## Concurrency
/// Only the thread that judges uses it.
final class EqualFiles {
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
        /// How many files were looked at closely.
        var looked = 0
    }

    private var looks: [Key: Look] = [:]
    private var isUnfinished = false

    /// Returns files with a content that are wanted, one of each asset, at most `limit` of them; with a folder, of the files in it.
    ///
    /// `isWanted` answers nil for files that do not count. Of those that do `lookedAt` are looked at.
    /// - Throws: an error that `tryAgain` knows, where there are more files than one step looks at.
    func find(
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
        // What was found in a step before may have changed meanwhile.
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
                limit: AssetLibrary.longReadPage
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

    /// Returns whether an operation has failed only because there are more files to be looked at.
    func tryAgain() -> Bool {
        defer { isUnfinished = false }
        return isUnfinished
    }
}

extension Catalog {
    /// Runs `body`, which judges before it changes anything, in as many steps as its look at equal files takes.
    func write<Value>(judging equal: EqualFiles, _ body: (Records) throws -> Value) throws -> Value {
        while true {
            do { return try write(body) } catch { guard equal.tryAgain() else { throw error } }
        }
    }
}

extension AssetLibrary {
    /// Runs `body`, which judges before it changes anything, in as many steps of the catalog as its look at equal files takes.
    func write<Value>(
        judging equal: EqualFiles,
        _ body: (Records) throws -> Value
    ) throws(LibraryError) -> Value {
        while true {
            do throws(LibraryError) { return try write(body) } catch {
                guard equal.tryAgain() else { throw error }
            }
        }
    }

    /// Runs `body`, which only judges, likewise.
    func read<Value>(
        judging equal: EqualFiles,
        _ body: (Records) throws -> Value
    ) throws(LibraryError) -> Value {
        while true {
            do throws(LibraryError) { return try read(body) } catch {
                guard equal.tryAgain() else { throw error }
            }
        }
    }
}
