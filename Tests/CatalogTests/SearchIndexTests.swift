import Catalog
import TestSupport
import Testing

struct SearchIndexTests {
    /// Opens an index, and answers which it is.
    private func identifier(_ path: String) throws -> [UInt8] {
        let index = try SearchIndex(path: path)
        let identifier = try index.state().index
        try index.close()
        return identifier
    }

    @Test(arguments: [
        "ALTER TABLE document DROP COLUMN shared", "DROP INDEX document_date",
        "ALTER TABLE place ADD COLUMN depth INTEGER",
        "DROP TABLE words; CREATE VIRTUAL TABLE words USING fts5 (name, title)",
    ])
    func `an index with other tables is made anew, and stays then`(change: String) throws {
        try withScratch { scratch in
            let path = scratch + "/search.sqlite"
            let made = try identifier(path)
            #expect(try identifier(path) == made)
            try run("sqlite3", path, change).check()
            let later = try identifier(path)
            #expect(later != made)
            #expect(try identifier(path) == later)
        }
    }
}
