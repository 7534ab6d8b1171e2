internal import AssetModel
internal import Catalog
internal import LibraryRules
internal import LibraryStorage

extension AssetLibrary {
    /// Runs `body`, which decides before it changes anything, in as many catalog operations as its search for
    /// equal files takes.
    func write<Value>(
        judging equal: EqualFiles,
        _ body: (Records) throws -> Value,
        then apply: (Value) -> Void = { _ in }
    ) throws(LibraryError) -> Value {
        while true {
            do throws(LibraryError) { return try write(body, then: apply) } catch {
                guard equal.tryAgain() else { throw error }
            }
        }
    }

    /// Runs `body`, which only decides, in as many catalog operations as its search for equal files takes.
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
