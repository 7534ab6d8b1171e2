/// The time when a picture was taken by its camera's clock: a date that may lack its end (`2001`), a time, a
/// zone.
///
/// A complete one is written as in RFC 3339. The form of EXIF 2.32, `2019:12:24 23:48:46`, is read, too.
public struct CapturedTime: Equatable, Sendable, CustomStringConvertible {
    /// Year, month and day; an old recording may have only the first of them.
    public let date: [Int]
    /// Hour, minute and second.
    public let time: [Int]?
    /// The digits of the second's fraction.
    public let fraction: String
    /// Minutes east of UTC, where the zone is known.
    public var offset: Int?

    /// Reads a time; nil for any other text, and for the placeholders of cameras without a clock.
    public init?(_ text: String) {
        var rest = Substring(text.trimmingSpaces)
        func number(_ digits: Int) -> Int? {
            let part = rest.prefix(digits)
            guard part.utf8.count == digits, part.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
            rest = rest.dropFirst(digits)
            return Int(part)
        }
        func skip(_ characters: String) -> Bool {
            guard let first = rest.first, characters.contains(first) else { return false }
            rest = rest.dropFirst()
            return true
        }
        guard let year = number(4), (1000...9999).contains(year) else { return nil }
        var date = [year]
        if skip(":-/") {
            guard let month = number(2), (1...12).contains(month) else { return nil }
            date.append(month)
            if skip(":-/") {
                guard let day = number(2), (1...Int(CivilDate.days(in: Int64(month), of: Int64(year)))).contains(day)
                else { return nil }
                date.append(day)
            }
        }
        var time: [Int]?
        var fraction = ""
        var offset: Int?
        if date.count == 3, skip("T ") {
            guard let hour = number(2), hour < 24, skip(":"), let minute = number(2), minute < 60 else { return nil }
            var second = 0
            if skip(":") {
                guard let some = number(2), some <= 60 else { return nil }
                second = some
                if skip(".") {
                    fraction = String(rest.prefix { $0.isASCII && $0.isNumber })
                    guard (1...9).contains(fraction.count) else { return nil }
                    rest = rest.dropFirst(fraction.count)
                }
            }
            time = [hour, minute, second]
            if skip("Zz") {
                offset = 0
            } else if let sign = rest.first, sign == "+" || sign == "-" {
                rest = rest.dropFirst()
                guard let hours = number(2), skip(":") || true, let minutes = number(2), hours <= 14, minutes < 60
                else {
                    return nil
                }
                offset = (hours * 60 + minutes) * (sign == "-" ? -1 : 1)
            }
        }
        guard rest.isEmpty else { return nil }
        self.date = date
        self.time = time
        self.fraction = fraction
        self.offset = offset
    }

    /// RFC 3339, without the unknown parts.
    public var description: String {
        func two(_ number: Int) -> String { (number < 10 ? "0" : "") + String(number) }
        var text = String(date[0])
        for part in date.dropFirst() { text += "-" + two(part) }
        guard let time else { return text }
        text += "T" + time.map(two).joined(separator: ":") + (fraction.isEmpty ? "" : "." + fraction)
        guard let offset else { return text }
        guard offset != 0 else { return text + "Z" }
        return text + (offset < 0 ? "-" : "+") + two(abs(offset) / 60) + ":" + two(abs(offset) % 60)
    }

    /// The local time in seconds since 1970; nil if the time is not known.
    public var wallSeconds: Int64? {
        guard let time, date.count == 3 else { return nil }
        return daySeconds + Int64(time[0] * 3600 + time[1] * 60 + time[2])
    }

    /// The seconds since 1970 at the beginning of the day, which must be known.
    var daySeconds: Int64 {
        CivilDate(year: Int64(date[0]), month: Int64(date[1]), day: Int64(date[2])).daysSince1970 * 86_400
    }
}

extension String {
    /// The text without white space at both ends.
    public var trimmingSpaces: String {
        let isSpace = { (character: Character) in character.isWhitespace }
        guard let start = firstIndex(where: { !isSpace($0) }), let end = lastIndex(where: { !isSpace($0) }) else {
            return ""
        }
        return String(self[start...end])
    }
}
