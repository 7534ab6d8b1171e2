internal import Glibc

/// A moment, in nanoseconds since 1970-01-01T00:00:00Z: the years 1677 to 2262.
public struct Timestamp: RawRepresentable, Hashable, Comparable, Sendable {
    /// Nanoseconds since 1970.
    public let rawValue: Int64

    /// Wraps nanoseconds since 1970.
    public init(rawValue: Int64) { self.rawValue = rawValue }

    /// The present.
    public static var now: Timestamp {
        var time = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(rawValue: Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec))
    }

    /// The moment so many seconds later.
    public func advanced(bySeconds seconds: Int64) -> Timestamp {
        Timestamp(rawValue: rawValue &+ seconds &* 1_000_000_000)
    }

    /// Whether the first is earlier.
    public static func < (a: Timestamp, b: Timestamp) -> Bool { a.rawValue < b.rawValue }
}

extension Timestamp: CustomStringConvertible {
    /// RFC 3339 in UTC with nine decimals, such as `2026-11-24T08:27:32.000000001Z`.
    public var description: String {
        let days = Self.floorDivided(rawValue, 86_400_000_000_000)
        let remainder = rawValue % 86_400_000_000_000
        let nanoseconds = remainder < 0 ? remainder + 86_400_000_000_000 : remainder
        let seconds = nanoseconds / 1_000_000_000
        // Days to a civil date in the proleptic Gregorian calendar, in eras of 400 years that begin on 1 March.
        let shifted = days + 719_468
        let era = Self.floorDivided(shifted, 146_097)
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        func padded(_ number: Int64, _ width: Int) -> String {
            let digits = String(number)
            return String(repeating: "0", count: max(0, width - digits.count)) + digits
        }
        let date = "\(padded(year, 4))-\(padded(month, 2))-\(padded(day, 2))"
        let time = "\(padded(seconds / 3600, 2)):\(padded(seconds / 60 % 60, 2)):\(padded(seconds % 60, 2))"
        return "\(date)T\(time).\(padded(nanoseconds % 1_000_000_000, 9))Z"
    }

    private static func floorDivided(_ a: Int64, _ b: Int64) -> Int64 { a >= 0 ? a / b : (a + 1) / b - 1 }
}
