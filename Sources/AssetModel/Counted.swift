extension BinaryInteger {
    /// Returns the number with a noun in the singular or plural: “1 file”, “2 files”.
    ///
    /// `many` is the plural where that does not end with an additional “s”, or where a verb follows.
    public func counted(_ one: String, _ many: String? = nil) -> String {
        "\(self) \(self == 1 ? one : many ?? one + "s")"
    }
}
