internal import AssetModel
internal import GRDB

extension Schema {
    /// Gives each name a place in its folder's listing that depends on the name alone, and each field the
    /// attribute under which it was set.
    ///
    /// A collection's files keep the order in which they were linked. `field.attribute` is NULL if the field
    /// was set under its own name.
    static func addPlaces(_ database: Database) throws {
        try database.execute(
            sql: """
                ALTER TABLE field ADD COLUMN attribute TEXT;
                ALTER TABLE entry ADD COLUMN place INTEGER NOT NULL DEFAULT 0;
                DROP INDEX entry_parent;
                UPDATE entry SET place = id WHERE collection = 1;
                """
        )
        let places = try Records(database: database).all("SELECT id, name FROM entry WHERE collection = 0", []) {
            (id: $0.integer(0), place: try EntryName($0.bytes(1)).listingPlace)
        }
        let update = try database.makeStatement(sql: "UPDATE entry SET place = ? WHERE id = ?")
        for (id, place) in places { try update.execute(arguments: [place, id]) }
        // Two names of a folder with one place are practically impossible; if they occur, the younger one
        // gets the next place.
        try database.execute(
            sql: """
                UPDATE entry SET place = place + 1 WHERE EXISTS (
                    SELECT 1 FROM entry f WHERE f.parent = entry.parent AND f.place = entry.place AND f.id < entry.id);
                CREATE UNIQUE INDEX entry_place ON entry (parent, place);
                """
        )
    }
}
