public import Catalog
internal import LibraryRules
public import LibraryStorage

extension AssetLibrary {
    /// Runs `body` on the records; its errors become a `LibraryError`.
    public func read<Value>(_ body: (Records) throws -> Value) throws(LibraryError) -> Value {
        try storage.read(body)
    }

    /// Runs `body`, which checks before it changes, on the records; its errors become a `LibraryError`.
    ///
    /// `then` is the catalog's. Now and then the bytes of folders are settled behind it.
    func write<Value>(
        _ body: (Records) throws -> Value,
        then apply: (Value) -> Void = { _ in }
    ) throws(LibraryError) -> Value {
        let value = try storage.write(body, then: apply)
        if usage.noteOperation() { settleUsage() }
        return value
    }

    /// Settles the noted changes of folders' bytes, in an operation of its own.
    ///
    /// No caller depends on it, so that a failure is none of theirs: the changes stay noted, and the next
    /// time settles them.
    func settleUsage() {
        guard usage.isTracking else { return }
        _ = try? catalog.write {
            try usage.takeChanges($0, rulebook)
        } then: {
            usage.settle($0)
        }
    }
}
