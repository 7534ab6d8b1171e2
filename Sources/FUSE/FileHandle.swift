/// The filesystem's object for one open file or directory, from open, create or opendir until release.
///
/// The session keeps the object alive and hands it back with every request: there is no table of handles, and no lock for one.
/// FLUSH comes at every close of every duplicate of a descriptor, so many times or never; RELEASE comes once, after the last
/// close and the last unmapping, and nobody hears its error.
public struct FileHandle {
    /// What the filesystem answered the open with.
    public let object: AnyObject

    init(_ object: AnyObject) { self.object = object }

    /// For a handle that the kernel hands back.
    init?(rawValue: UInt64) {
        guard let pointer = unsafe UnsafeRawPointer(bitPattern: UInt(rawValue)) else { return nil }
        object = unsafe Unmanaged<AnyObject>.fromOpaque(pointer).takeUnretainedValue()
    }

    /// The number for the kernel, which stands for a reference to the object from here until `drop`.
    func retained() -> UInt64 {
        unsafe UInt64(UInt(bitPattern: Unmanaged.passRetained(object).toOpaque()))
    }

    /// Ends the reference that `retained` began.
    func drop() { unsafe Unmanaged.passUnretained(object).release() }
}
