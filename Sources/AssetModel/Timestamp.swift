internal import Glibc

/// A moment, in nanoseconds since 1970-01-01T00:00:00Z: the years 1677 to 2262.
public struct Timestamp: RawRepresentable, Hashable, Comparable, Sendable {
    /// Nanoseconds since 1970.
    public let rawValue: Int64

    /// Wraps nanoseconds since 1970.
    public init(rawValue: Int64) { self.rawValue = rawValue }

    /// Creates a moment from the system's form: a time beyond the range, as a file may have, becomes the
    /// first or the last moment.
    public init(seconds: Int, nanoseconds: Int) {
        let time = Int128(seconds) * 1_000_000_000 + Int128(nanoseconds)
        self.init(rawValue: Int64(clamping: time))
    }

    /// Reads a day or a moment in RFC 3339; in UTC if no zone is given.
    public init?(_ text: String) {
        guard let time = CapturedTime(text), time.date.count == 3 else { return nil }
        let seconds = (time.wallSeconds ?? time.daySeconds) - Int64(time.offset ?? 0) * 60
        let fraction = Int64(time.fraction + String(repeating: "0", count: 9 - time.fraction.count)) ?? 0
        // The first second begins before the first moment.
        guard let moment = Int64(exactly: Int128(seconds) * 1_000_000_000 + Int128(fraction)) else { return nil }
        rawValue = moment
    }

    /// The present.
    public static var now: Timestamp {
        var time = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(rawValue: Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec))
    }

    /// Returns the moment a number of seconds later.
    public func advanced(bySeconds seconds: Int64) -> Timestamp {
        Timestamp(rawValue: rawValue &+ seconds &* 1_000_000_000)
    }

    /// Returns the moment a duration later.
    public func advanced(by duration: Duration) -> Timestamp {
        Timestamp(rawValue: rawValue &+ Int64(duration / .nanoseconds(1)))
    }

    /// Returns whether the first is earlier.
    public static func < (a: Timestamp, b: Timestamp) -> Bool { a.rawValue < b.rawValue }
}

extension Timestamp: CustomStringConvertible {
    /// RFC 3339 in UTC with nine decimals, such as `2026-11-24T08:27:32.000000001Z`.
    public var description: String {
        let days = rawValue.floorDivided(by: 86_400_000_000_000)
        // The first day begins before the first moment.
        let nanoseconds = rawValue &- days &* 86_400_000_000_000
        let seconds = nanoseconds / 1_000_000_000
        let date = CivilDate(daysSince1970: days)
        func padded(_ number: Int64, _ width: Int) -> String {
            let digits = String(number)
            return String(repeating: "0", count: max(0, width - digits.count)) + digits
        }
        let day = "\(padded(date.year, 4))-\(padded(date.month, 2))-\(padded(date.day, 2))"
        let time = "\(padded(seconds / 3600, 2)):\(padded(seconds / 60 % 60, 2)):\(padded(seconds % 60, 2))"
        return "\(day)T\(time).\(padded(nanoseconds % 1_000_000_000, 9))Z"
    }
}

extension Timestamp {
    /// Returns the moment a user-written time later: `90s`, `15m`, `1h`, `2d`, `1w`; with `isBefore`,
    /// earlier.
    /// - Returns: nil if the text is no length of time, or the result is beyond the range.
    public func moved(by text: String, isBefore: Bool = false) -> Timestamp? {
        let units: [Character: Double] = ["s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800]
        guard let unit = text.last.flatMap({ units[$0] }), let count = Double(String(text.dropLast())), count >= 0,
            let length = Int64(exactly: (count * unit * 1e9).rounded())
        else { return nil }
        let (sum, overflow) = rawValue.addingReportingOverflow(isBefore ? -length : length)
        return overflow ? nil : Timestamp(rawValue: sum)
    }

    /// Reads an end: a time such as `2027-01-31T12:00:00Z`, or a time from now: `1h`, `2d`, `P3M`.
    public init?(end text: String, from now: Timestamp) {
        guard let end = now.moved(by: text) ?? Period(text)?.added(to: now) ?? Timestamp(text) else { return nil }
        self = end
    }
}
