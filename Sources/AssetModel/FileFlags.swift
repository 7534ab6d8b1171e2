/// The flags of a file or folder that chattr(1) sets, as far as they are stored: those of FS_IOC_SETFLAGS.
public struct FileFlags: OptionSet, Sendable {
    /// The flags by the kernel's numbers, such as FS_IMMUTABLE_FL.
    public let rawValue: UInt32

    /// Wraps the kernel's number.
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// `i`: the file or folder cannot be changed.
    public static let immutable = FileFlags(rawValue: 0x10)
    /// `a`: a file can only be appended to, a folder can only get more names.
    public static let appendOnly = FileFlags(rawValue: 0x20)
    /// `d`: dump(8) leaves the file out.
    public static let noDump = FileFlags(rawValue: 0x40)
    /// `A`: reading does not change the access time.
    public static let noAccessTime = FileFlags(rawValue: 0x80)

    /// All flags that are stored.
    public static let known: FileFlags = [.immutable, .appendOnly, .noDump, .noAccessTime]
    /// The flags that forbid changes.
    public static let fixed: FileFlags = [.immutable, .appendOnly]
}
