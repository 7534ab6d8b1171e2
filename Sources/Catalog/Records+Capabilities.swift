// Signed paths.
extension Records {
    /// Returns the key that a former assetfs used for signed paths; nil where there is none.
    public func signingKey() throws -> [UInt8]? {
        try first("SELECT key FROM signing WHERE id = 1", []) { $0.bytes(0) }
    }

    /// Deletes that key, and overwrites its bytes in the file.
    public func removeSigningKey() throws {
        try run("UPDATE signing SET key = zeroblob(length(key))", [])
        try run("DELETE FROM signing", [])
    }
}
