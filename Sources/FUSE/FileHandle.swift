/// The filesystem's object for one open file or directory, from open, create or opendir until release.
///
/// The session keeps the object alive and passes it with every request: there is no table of handles, and no
/// lock for one. FLUSH comes at every close of every duplicate of a descriptor, so many times or never;
/// RELEASE comes once, after the last close and the last unmapping, and its error reaches no program.
public struct FileHandle {
    /// The object that the filesystem returned for the open.
    public let object: AnyObject

    init(_ object: AnyObject) { self.object = object }

    /// Returns the handle for a number from the kernel; nil for 0.
    init?(rawValue: UInt64) {
        guard let pointer = unsafe UnsafeRawPointer(bitPattern: UInt(rawValue)) else { return nil }
        object = unsafe Unmanaged<AnyObject>.fromOpaque(pointer).takeUnretainedValue()
    }

    /// Returns the number for the kernel, which holds a reference to the object until `drop`.
    func retained() -> UInt64 {
        unsafe UInt64(UInt(bitPattern: Unmanaged.passRetained(object).toOpaque()))
    }

    /// Ends the reference of `retained`.
    func drop() { unsafe Unmanaged.passUnretained(object).release() }
}
