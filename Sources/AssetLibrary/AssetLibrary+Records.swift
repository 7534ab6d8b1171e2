public import Catalog

extension AssetLibrary {
    /// Runs `body` on the records; its errors become a `LibraryError`.
    public func read<Value>(_ body: (Records) throws -> Value) throws(LibraryError) -> Value {
        do { return try catalog.read(body) } catch { throw LibraryError(error) }
    }

    /// Runs `body`, which checks before it changes, on the records; its errors become a `LibraryError`.
    /// `then` is the catalog's.
    func write<Value>(
        _ body: (Records) throws -> Value,
        then apply: (Value) -> Void = { _ in }
    ) throws(LibraryError) -> Value {
        do {
            return try catalog.write(
                { records in
                    let value = try body(records)
                    try usage.settleSometimes(records, rulebook)
                    return value
                },
                then: apply
            )
        } catch {
            throw LibraryError(error)
        }
    }
}
