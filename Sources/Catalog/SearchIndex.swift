public import AssetModel
internal import CSearch
internal import GRDB
internal import GRDBSQLite

/// The search index, in a file of its own beside the catalog: searches do not hold up uploads, and its data
/// can always be rebuilt.
///
/// ## Concurrency
/// Operations run one at a time on the caller's thread; it takes no other lock.
public final class SearchIndex: Sendable {
    private let queue: DatabaseQueue

    /// Opens an index, creates it if there is none, and clears one whose tables have another version.
    /// - Throws: `.failed` if it cannot be opened or created.
    public init(path: String) throws(CatalogError) {
        do {
            queue = try Self.open(path)
        } catch {
            throw CatalogError(error)
        }
    }

    /// Creates an index in memory, for `finds`.
    /// - Throws: `.failed` if it cannot be created.
    public init() throws(CatalogError) {
        do {
            queue = try DatabaseQueue(configuration: Self.configuration())
            try queue.inDatabase { try Self.make($0) }
        } catch {
            throw CatalogError(error)
        }
    }

    private static func configuration() -> Configuration {
        var configuration = Configuration()
        configuration.busyMode = .timeout(2)
        configuration.foreignKeysEnabled = false
        configuration.prepareDatabase { database in
            // The settings are those of the catalog.
            try database.execute(
                sql: "PRAGMA locking_mode = EXCLUSIVE; PRAGMA cache_size = -16384; PRAGMA temp_store = MEMORY"
            )
            let code = unsafe search_register(database.connection)
            guard code == SQLITE_OK else {
                throw CatalogError.failed(code: code, reason: "FTS5 takes no function for the order of what is found")
            }
        }
        return configuration
    }

    private static func open(_ path: String) throws -> DatabaseQueue {
        var configuration = configuration()
        configuration.journalMode = .wal
        let queue = try DatabaseQueue(path: path, configuration: configuration)
        try queue.inDatabase { database in
            // The steps must be on stable storage before the catalog removes their changes from its queue.
            try database.execute(sql: "PRAGMA synchronous = FULL")
            if try !isCurrent(database) { try make(database) }
        }
        return queue
    }

    /// The version of the meaning of the tables; an index with another one is cleared.
    private static let version = 1

    /// The statements that make the tables; an index that others have made is cleared.
    private static let tables = [
        """
        CREATE TABLE document (
            asset INTEGER PRIMARY KEY, kind TEXT, type TEXT, extension TEXT NOT NULL, size INTEGER NOT NULL, width INTEGER,
            height INTEGER, duration REAL, pages INTEGER, rank INTEGER, date INTEGER NOT NULL, uploaded INTEGER NOT NULL,
            access INTEGER NOT NULL, expires INTEGER, blob INTEGER, latitude REAL, longitude REAL,
            uploader INTEGER NOT NULL, owner INTEGER NOT NULL, shared INTEGER NOT NULL) STRICT
        """,
        "CREATE INDEX document_blob ON document (blob, owner) WHERE blob IS NOT NULL",
        "CREATE INDEX document_size ON document (size)",
        "CREATE INDEX document_date ON document (date)",
        "CREATE INDEX document_uploaded ON document (uploaded)",
        "CREATE INDEX document_latitude ON document (latitude) WHERE latitude IS NOT NULL",
        "CREATE TABLE place (folder INTEGER NOT NULL, asset INTEGER NOT NULL, PRIMARY KEY (folder, asset)) WITHOUT ROWID, STRICT",
        "CREATE INDEX place_asset ON place (asset)",
        """
        CREATE VIRTUAL TABLE words USING fts5 (
            \(SearchQuery.Column.allCases.map(\.rawValue).joined(separator: ", ")),
            tokenize = "unicode61 remove_diacritics 2", prefix = '3')
        """,
        "CREATE TABLE state (identifier BLOB NOT NULL, turn INTEGER NOT NULL) STRICT",
    ]

    /// Returns whether the tables are those that `make` makes, however their statements are laid out.
    private static func isCurrent(_ database: Database) throws -> Bool {
        guard try Int.fetchOne(database, sql: "PRAGMA user_version") == version else { return false }
        // Tables named `words_…` are FTS5's own.
        let found = try String.fetchAll(
            database,
            sql: "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND substr(name, 1, 6) <> 'words_'"
        )
        func onOneLine(_ sql: String) -> String { sql.split(whereSeparator: \.isWhitespace).joined(separator: " ") }
        return Set(found.map(onOneLine)) == Set(tables.map(onOneLine))
    }

    private static func make(_ database: Database) throws {
        try database.inTransaction {
            for table in ["document", "place", "words", "state"] {
                try database.execute(sql: "DROP TABLE IF EXISTS \(table)")
            }
            for table in tables { try database.execute(sql: table) }
            try database.execute(sql: "INSERT INTO state VALUES (randomblob(16), 0); PRAGMA user_version = \(version)")
            return .commit
        }
    }

    /// Returns the identifier of the index, and the number of its steps.
    public func state() throws -> (index: [UInt8], turn: Int64) {
        try queue.inDatabase { database in
            try Records(database: database).first("SELECT identifier, turn FROM state", []) {
                ($0.bytes(0), $0.integer(1))
            } ?? ([], 0)
        }
    }

    /// Clears the index.
    /// - Returns: its new identifier.
    public func clear() throws -> [UInt8] {
        try queue.inDatabase { try Self.make($0) }
        return try state().index
    }

    /// Records the present data of assets, nil for those that cannot be found, durably, as one step.
    public func update(_ changes: [(asset: AssetID, document: SearchDocument?)], turn: Int64) throws {
        try queue.inDatabase { database in
            try database.inTransaction {
                let records = Records(database: database)
                for (asset, document) in changes {
                    try records.deleteSearchDocument(asset)
                    if let document { try records.insert(document) }
                }
                try records.run("UPDATE state SET turn = ?", [.integer(turn)])
                return .commit
            }
        }
    }

    /// Returns the assets that match a query, the best match first.
    ///
    /// `isUnwanted` is asked every few milliseconds, on this thread; true ends the search.
    /// - Throws: `.failed` with SQLITE_INTERRUPT then.
    public func find(
        _ query: SearchQuery,
        in scope: SearchScope,
        isUnwanted: () -> Bool = { false }
    ) throws -> [AssetID] {
        var statement = SearchStatement(scope)
        let sql = statement.select(query.condition)
        return try queue.inDatabase { database in
            // Each search is another statement, so none is cached.
            try database.interrupting(when: isUnwanted) {
                try Records(database: database).allOnce(sql, statement.values) { AssetID(rawValue: $0.integer(0)) }
            }
        }
    }

    /// Returns whether a query matches one asset, without keeping it in the index; for an index without any
    /// other.
    public func finds(_ document: SearchDocument, _ query: SearchQuery, in scope: SearchScope) throws -> Bool {
        var statement = SearchStatement(scope)
        let sql = statement.select(query.condition)
        return try queue.inDatabase { database in
            var isFound = false
            try database.inTransaction {
                let records = Records(database: database)
                try records.insert(document)
                isFound = try !records.allOnce(sql, statement.values) { $0.integer(0) }.isEmpty
                return .rollback
            }
            return isFound
        }
    }

    /// Runs `body` with the index, for a check.
    public func read<Value>(_ body: (Records) throws -> Value) throws -> Value {
        try queue.inDatabase { try body(Records(database: $0)) }
    }

    /// Closes the file.
    public func close() throws(CatalogError) {
        do { try queue.close() } catch { throw CatalogError(error) }
    }
}

extension Records {
    fileprivate func deleteSearchDocument(_ asset: AssetID) throws {
        try run("DELETE FROM document WHERE asset = ?", [asset.value])
        guard changedRows > 0 else { return }
        try run("DELETE FROM words WHERE rowid = ?", [asset.value])
        try run("DELETE FROM place WHERE asset = ?", [asset.value])
    }

    /// The columns of the table `document`, in the order of `SearchDocument.values`.
    static let documentColumns = [
        "asset", "kind", "type", "extension", "size", "width", "height", "duration", "pages", "rank", "date",
        "uploaded", "access",
        "expires", "blob", "latitude", "longitude", "uploader", "owner", "shared",
    ]

    fileprivate func insert(_ document: SearchDocument) throws {
        let marks = Records.marks(Self.documentColumns.count)
        try run(
            "INSERT INTO document (\(Self.documentColumns.joined(separator: ", "))) VALUES (\(marks))",
            document.values
        )
        let columns = SearchQuery.Column.allCases
        try run(
            "INSERT INTO words (rowid, \(columns.map(\.rawValue).joined(separator: ", "))) VALUES (?\(String(repeating: ", ?", count: columns.count)))",
            [document.asset.value] + document.words
        )
        for folder in Set(document.folders) {
            try run("INSERT INTO place VALUES (?, ?)", [.integer(folder), document.asset.value])
        }
    }
}

extension SearchDocument {
    /// The values of its row in the table `document`.
    var values: [SQLValue] {
        [
            asset.value, mediaType.map { .text(MediaKind(mediaType: $0).rawValue) } ?? .null,
            mediaType.map(SQLValue.text) ?? .null, .text(fileExtension), .integer(size), SQLValue(width),
            SQLValue(height), duration.map(SQLValue.real) ?? .null, SQLValue(pages), SQLValue(rank), .integer(date),
            .integer(uploaded), .integer(access), SQLValue(expires), SQLValue(blob),
            (position?.latitude).map(SQLValue.real) ?? .null, (position?.longitude).map(SQLValue.real) ?? .null,
            .integer(uploader), .integer(owner), .integer(isShared ? 1 : 0),
        ]
    }

    /// The values of its row in the table `words`.
    var words: [SQLValue] { SearchQuery.Column.allCases.map { .text(texts[$0] ?? "") } }
}
