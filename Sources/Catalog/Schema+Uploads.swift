extension Schema {
    /// Adds to `staged` the data that the next mount needs to commit an interrupted upload.
    ///
    /// `uid` is NULL if no commit is to come; `flags` are those of `InterruptedUpload`.
    static let interruptedUploads = """
        ALTER TABLE staged ADD COLUMN uid INTEGER;
        ALTER TABLE staged ADD COLUMN gid INTEGER;
        ALTER TABLE staged ADD COLUMN flags INTEGER;
        ALTER TABLE staged ADD COLUMN former_mode INTEGER;
        ALTER TABLE staged ADD COLUMN former_uid INTEGER;
        ALTER TABLE staged ADD COLUMN former_gid INTEGER;
        ALTER TABLE staged ADD COLUMN former_modified INTEGER;
        ALTER TABLE staged ADD COLUMN former_accessed INTEGER;
        ALTER TABLE staged ADD COLUMN aim_parent INTEGER;
        ALTER TABLE staged ADD COLUMN aim_name BLOB;
        ALTER TABLE staged ADD COLUMN aim_asset INTEGER;
        ALTER TABLE staged ADD COLUMN aim_uploaded BLOB;
        """
}
