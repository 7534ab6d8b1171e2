// Signed paths.
extension Records {
    /// The key that signed paths are signed with; nil before there is one.
    public func signingKey() throws -> [UInt8]? {
        try first("SELECT key FROM signing WHERE id = 1", []) { $0.bytes(0) }
    }

    /// Records another key: what was signed with the former is not any more.
    public func setSigningKey(_ key: [UInt8]) throws {
        try run("INSERT OR REPLACE INTO signing (id, key) VALUES (1, ?)", [.blob(key)])
    }
}
