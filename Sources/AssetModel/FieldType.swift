/// The values that a folder permits for a field: `user.policy.field.NAME`.
///
/// The types are those of ResourceSpace's metadata fields; types with permitted values are its fixed list
/// fields.
public enum FieldType: Equatable, Sendable {
    /// Any value that the field itself accepts: cancels the type that a folder above sets.
    case any
    /// A text with a maximum number of characters.
    case text(longest: Int)
    /// A whole number.
    case integer(ClosedRange<Int64>)
    /// A decimal number.
    case number(ClosedRange<Double>)
    /// 0 or 1.
    case boolean
    /// A day: `2024-05-17`.
    case date
    /// A day and a time of it: `2024-05-17T14:03:09`, with or without a zone.
    case dateTime
    /// Two days, the later one second: `2024-05-17/2024-05-19` (ISO 8601).
    case dateRange
    /// One of the permitted values.
    case one([String])
    /// Some of the permitted values, separated by commas.
    case many([String])

    /// Reads a type: `any`, `text:256`, `integer`, `integer:1..999`, `number:0..`, `boolean`, `date`,
    /// `datetime`, `daterange`, `one:A|B|C`, `many:A|B|C`.
    /// - Throws: the fault of the text.
    public init(_ text: String) throws(Policy.Objection) {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let argument = parts.count > 1 ? parts[1] : nil
        switch (parts[0], argument) {
        case ("any", nil): self = .any
        case ("text", let argument?):
            guard let longest = Int(argument), longest > 0 else {
                throw Policy.Objection(
                    "“\(Shown.value(argument))” is not the number of characters that a text may have"
                )
            }
            self = .text(longest: longest)
        case ("integer", let argument):
            self = .integer(try Self.range(argument, Int64.min...Int64.max))
        case ("number", let argument):
            self = .number(try Self.range(argument, -Double.infinity...Double.infinity))
        case ("boolean", nil): self = .boolean
        case ("date", nil): self = .date
        case ("datetime", nil): self = .dateTime
        case ("daterange", nil): self = .dateRange
        case ("one", let argument?): self = .one(try Self.list(argument))
        case ("many", let argument?):
            let values = try Self.list(argument)
            if let value = values.first(where: { $0.contains(",") }) {
                throw Policy.Objection("“\(Shown.value(value))” has a comma in it, which separates values")
            }
            self = .many(values)
        default:
            throw Policy.Objection(
                "it is any, text:256, integer:1..999, number:0.5.., boolean, date, datetime, daterange, one:A|B|C or many:A|B|C"
            )
        }
    }

    private static func range<Number: LosslessStringConvertible & Comparable>(
        _ text: String?,
        _ whole: ClosedRange<Number>
    ) throws(Policy.Objection) -> ClosedRange<Number> {
        guard let text else { return whole }
        let objection = Policy.Objection("“\(Shown.value(text))” is no range such as 1..999, 1.. or ..999")
        guard let dots = text.indices.first(where: { text[$0...].hasPrefix("..") }) else { throw objection }
        let (low, high) = (text[..<dots], text[text.index(dots, offsetBy: 2)...])
        let from = low.isEmpty ? whole.lowerBound : Number(String(low))
        let to = high.isEmpty ? whole.upperBound : Number(String(high))
        guard let from, let to, from <= to else { throw objection }
        return from...to
    }

    private static func list(_ text: String) throws(Policy.Objection) -> [String] {
        let values = text.split(separator: "|", omittingEmptySubsequences: false).map { String($0).trimmingSpaces }
        if values.contains("") { throw Policy.Objection("a value of the list “\(Shown.value(text))” is empty") }
        // A list has up to 64 KiB, so duplicates are found with a set.
        var seen: Set<String> = []
        for value in values where !seen.insert(value).inserted {
            throw Policy.Objection("“\(Shown.value(value))” is twice in the list")
        }
        return values
    }

    /// Returns the reason why a value cannot be stored; nil if it can be.
    public func objection(to value: [UInt8]) -> Field.Objection? {
        guard let text = String(validating: value, as: UTF8.self) else { return .invalid("it is not UTF-8 text") }
        switch self {
        case .any: return nil
        case .text(let longest):
            let count = text.unicodeScalars.count
            return count > longest ? .tooLong("it has \(count) characters, and \(longest) are allowed here") : nil
        case .integer(let range):
            guard let number = Int64(text) else { return .invalid("it is not \(self)") }
            return range.contains(number) ? nil : .outOfRange("it is not \(self)")
        case .number(let range):
            guard text.utf8.allSatisfy({ "+-.0123456789eE".utf8.contains($0) }), let number = Double(text),
                number.isFinite
            else { return .invalid("it is not \(self)") }
            return range.contains(number) ? nil : .outOfRange("it is not \(self)")
        case .boolean: return text == "0" || text == "1" ? nil : .invalid("it is not \(self)")
        case .date: return Self.isDate(text) ? nil : .invalid("it is not \(self)")
        case .dateTime:
            let isTime =
                Self.isDate(String(text.prefix(10))) && text.dropFirst(10).hasPrefix("T") && CapturedTime(text) != nil
            return isTime ? nil : .invalid("it is not \(self)")
        case .dateRange:
            let days = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
            // Days with four-digit years sort by their digits.
            let isRange = days.count == 2 && days.allSatisfy(Self.isDate) && days[0] <= days[1]
            return isRange ? nil : .invalid("it is not \(self)")
        case .one(let values): return values.contains(text) ? nil : .invalid("it is not \(self)")
        case .many(let values):
            let chosen = text.split(separator: ",", omittingEmptySubsequences: false).map { String($0).trimmingSpaces }
            let permitted = Set(values)
            // An empty text is an empty selection.
            guard let wrong = text.isEmpty ? nil : chosen.first(where: { !permitted.contains($0) }) else { return nil }
            return .invalid("“\(Shown.value(wrong))” is not one of \(Self.shown(values))")
        }
    }

    private static func isDate(_ text: String) -> Bool {
        text.utf8.count == 10 && CapturedTime(text)?.description == text
    }
}

extension FieldType: CustomStringConvertible {
    /// The type as a part of the sentence “it is not …”.
    public var description: String {
        switch self {
        case .any: "anything that the field takes"
        case .text(let longest): "a text of up to \(longest) characters"
        case .integer(.min ... .max): "a whole number"
        case .integer(let range):
            "a whole number \(Self.words(range.lowerBound == .min, range.upperBound == .max, range))"
        case .number(let range) where range.lowerBound == -.infinity && range.upperBound == .infinity: "a number"
        case .number(let range):
            "a number \(Self.words(range.lowerBound == -.infinity, range.upperBound == .infinity, range))"
        case .boolean: "0 or 1"
        case .date: "a date such as 2024-05-17"
        case .dateTime: "a time such as 2024-05-17T14:03:09+02:00"
        case .dateRange: "two dates such as 2024-05-17/2024-05-19"
        case .one(let values): "one of \(Self.shown(values))"
        case .many(let values): "some of \(Self.shown(values)), separated by commas"
        }
    }

    private static func words<Number: Comparable>(
        _ isOpenBelow: Bool,
        _ isOpenAbove: Bool,
        _ range: ClosedRange<Number>
    ) -> String {
        isOpenBelow
            ? "up to \(range.upperBound)"
            : isOpenAbove ? "from \(range.lowerBound)" : "from \(range.lowerBound) to \(range.upperBound)"
    }

    /// Returns as many values as fit into a sentence.
    private static func shown(_ values: [String]) -> String {
        values.prefix(20).map { "“\(Shown.value($0))”" }.joined(separator: ", ")
            + (values.count > 20 ? " … (\(values.count) values)" : "")
    }
}
