extension Duration {
    /// Reads a length of time as people write it: `90s`, `15m`, `1h`, `2d`, `1w`.
    public init?(lapse text: String) {
        let units: [Character: Int64] = ["s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800]
        guard let unit = text.last.flatMap({ units[$0] }), let count = Double(text.dropLast()), count >= 0,
            count < 1e9
        else { return nil }
        self = .milliseconds(Int64(count * Double(unit) * 1000))
    }
}

extension Timestamp {
    /// Reads when something ends: a time such as `2027-01-31T12:00:00Z`, or how long from now: `1h`, `2d`, `P3M`.
    public init?(end text: String, from now: Timestamp) {
        if let lapse = Duration(lapse: text) {
            let (sum, overflow) = now.rawValue.addingReportingOverflow(
                Int64(clamping: lapse.components.seconds) &* 1_000_000_000
            )
            guard !overflow, sum > now.rawValue else { return nil }
            self.init(rawValue: sum)
        } else if let period = Period(text) {
            self = period.added(to: now)
        } else if let time = Timestamp(text) {
            self = time
        } else {
            return nil
        }
    }
}
