import Foundation

/// The descriptors 0, 1 and 2, which all code expects to be open.
enum StandardDescriptors {
    /// Opens /dev/null in the place of each closed one.
    ///
    /// The command does this first: a file that was opened earlier would get such a number, and would then be
    /// written to like a terminal, or be replaced when the daemon detaches.
    static func fill() {
        for descriptor in Int32(0)...2 where fcntl(descriptor, F_GETFD) < 0 {
            // open(2) returns the lowest free number; all lower ones are taken.
            _ = unsafe open("/dev/null", O_RDWR)
        }
    }
}
