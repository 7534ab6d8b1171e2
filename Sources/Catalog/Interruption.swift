internal import GRDB
internal import GRDBSQLite

extension Database {
    /// The number of instructions of SQLite's virtual machine between two calls of the handler: less than a
    /// millisecond's.
    private static let stride: Int32 = 20_000

    /// Runs `body`, whose statements fail with SQLITE_INTERRUPT once `isUnwanted` returns true.
    func interrupting<Value>(when isUnwanted: () -> Bool, _ body: () throws -> Value) rethrows -> Value {
        try withoutActuallyEscaping(isUnwanted) { isUnwanted in
            let question = Question(isUnwanted)
            return try withExtendedLifetime(question) {
                let context = unsafe Unmanaged.passUnretained(question).toOpaque()
                unsafe sqlite3_progress_handler(
                    sqliteConnection,
                    Self.stride,
                    { context in
                        guard let context = unsafe context else { return 0 }
                        return unsafe Unmanaged<Question>.fromOpaque(context).takeUnretainedValue().ask() ? 1 : 0
                    },
                    context
                )
                defer { unsafe sqlite3_progress_handler(sqliteConnection, 0, nil, nil) }
                return try body()
            }
        }
    }
}

/// A closure as an object, for SQLite's callback.
private final class Question {
    let ask: () -> Bool

    init(_ ask: @escaping () -> Bool) { self.ask = ask }
}
