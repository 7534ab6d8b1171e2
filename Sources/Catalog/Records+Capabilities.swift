// Signed paths.
extension Records {
    /// The key that signed paths were signed with by a former assetfs; nil where there is none.
    public func signingKey() throws -> [UInt8]? {
        try first("SELECT key FROM signing WHERE id = 1", []) { $0.bytes(0) }
    }

    /// Removes that key, and its bytes from the file.
    public func removeSigningKey() throws {
        try run("UPDATE signing SET key = zeroblob(length(key))", [])
        try run("DELETE FROM signing", [])
    }
}
