import Foundation

/// The descriptors 0, 1 and 2, which everything takes for granted.
enum StandardDescriptors {
    /// Opens /dev/null in the place of each that is closed.
    ///
    /// The first thing that the command does: a file that is opened before gets such a number, and is then written to as if it were the
    /// terminal, or replaced when the daemon leaves it.
    static func fill() {
        for descriptor in Int32(0)...2 where fcntl(descriptor, F_GETFD) < 0 {
            // open(2) gives the lowest number that is free; all below are taken.
            _ = unsafe open("/dev/null", O_RDWR)
        }
    }
}
