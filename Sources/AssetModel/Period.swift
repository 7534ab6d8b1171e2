/// An ISO 8601 period: `P3M`, `P1Y6M`, `P2W`, `P1DT12H`.
public struct Period: Hashable, Sendable {
    /// The numbers of years, months, weeks, days, hours, minutes and seconds, in that order.
    private let counts: [Int64]

    /// Reads a period.
    public init?(_ text: String) {
        guard text.first == "P" || text.first == "p" else { return nil }
        var counts = [Int64](repeating: 0, count: 7)
        var next = 0
        var number = ""
        var isTime = false
        var hasAny = false
        for character in text.dropFirst().uppercased() {
            if character.isASCII, character.isNumber {
                number.append(character)
                continue
            }
            if character == "T", number.isEmpty, !isTime {
                (next, isTime, hasAny) = (4, true, false)
                continue
            }
            let letters: [Character] = ["Y", "M", "W", "D", "H", "M", "S"]
            let indices = isTime ? next..<7 : next..<4
            guard let index = indices.first(where: { letters[$0] == character }),
                let count = Int64(number), count < 1_000_000
            else { return nil }
            counts[index] = count
            next = index + 1
            number = ""
            hasAny = true
        }
        guard hasAny, number.isEmpty else { return nil }
        self.counts = counts
    }

    /// Returns the moment a period later, by the calendar in UTC: years, then months, then the rest.
    ///
    /// A day that the month does not have becomes its last day: 31 January plus P1M is 28 or 29 February. A
    /// result beyond the range of Timestamp is clamped.
    public func added(to time: Timestamp) -> Timestamp {
        let day: Int64 = 86_400_000_000_000
        let days = time.rawValue.floorDivided(by: day)
        var date = CivilDate(daysSince1970: days)
        let months = (date.year + counts[0]) * 12 + date.month - 1 + counts[1]
        (date.year, date.month) = (months.floorDivided(by: 12), months - months.floorDivided(by: 12) * 12 + 1)
        date.day = min(date.day, CivilDate.days(in: date.month, of: date.year))
        let end = date.daysSince1970 + counts[2] * 7 + counts[3]
        let seconds = Int128(counts[4] * 3600 + counts[5] * 60 + counts[6])
        // The first day begins before the first moment of a Timestamp.
        let moved = (Int128(end) - Int128(days)) * Int128(day) + seconds * 1_000_000_000
        return Timestamp(rawValue: Int64(clamping: Int128(time.rawValue) + moved))
    }

    /// Returns whether it ends before another period that begins at the same moment, the beginning of 1970.
    func isShorter(than other: Period) -> Bool {
        let start = Timestamp(rawValue: 0)
        return added(to: start) < other.added(to: start)
    }

    /// The shortest lifetime that an asset can be given: HubSpot's `P1D`.
    public static let shortestLife = Period(days: 1)
    /// The longest lifetime that an asset can be given: HubSpot's `P1Y`.
    public static let longestLife = Period(years: 1)

    private init(years: Int64 = 0, days: Int64 = 0) { counts = [years, 0, 0, days, 0, 0, 0] }

    /// Returns the end of a lifetime that begins at a moment; nil if it is shorter or longer than permitted.
    public func endOfLife(from start: Timestamp) -> Timestamp? {
        let end = added(to: start)
        return (Self.shortestLife.added(to: start)...Self.longestLife.added(to: start)).contains(end) ? end : nil
    }
}
