internal import LibraryStorage

extension AssetLibrary {
    /// Runs a user's `work` on another thread, once.
    /// - Returns: false where no work is begun any more, because the library is being closed.
    public func runErrand(for uid: UInt32, _ work: @escaping @Sendable () -> Void) -> Bool {
        errands.run(for: uid, work)
    }

    /// Returns a function that runs a user's request again, on one of the threads for that.
    public func resuming(for uid: UInt32, _ work: @escaping @Sendable () -> Void) -> @Sendable () -> Void {
        { [resumptions] in if !resumptions.run(for: uid, work) { work() } }
    }
}
