/// What chattr(1) says of a file or folder: the flags of FS_IOC_SETFLAGS that are kept.
public struct FileFlags: OptionSet, Sendable {
    /// FS_IMMUTABLE_FL and its like.
    public let rawValue: UInt32

    /// Wraps the kernel's number.
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// `i`: nothing of it changes.
    public static let immutable = FileFlags(rawValue: 0x10)
    /// `a`: a file is only appended to, a folder only gets more names.
    public static let appendOnly = FileFlags(rawValue: 0x20)
    /// `d`: dump(8) leaves it out.
    public static let noDump = FileFlags(rawValue: 0x40)
    /// `A`: reading it leaves no trace.
    public static let noAccessTime = FileFlags(rawValue: 0x80)

    /// All that are kept.
    public static let known: FileFlags = [.immutable, .appendOnly, .noDump, .noAccessTime]
    /// Those that forbid changes.
    public static let fixed: FileFlags = [.immutable, .appendOnly]
}
