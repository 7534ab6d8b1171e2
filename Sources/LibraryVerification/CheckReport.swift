public import AssetModel
public import Catalog

/// The result of a check of a library.
public struct CheckReport: Sendable {
    /// A fault that was found.
    public struct Finding: Sendable {
        /// The name of the rule that is broken.
        public let rule: String
        /// The number of the row that breaks it; nil where the fault is not in a row.
        public let row: Int64?
        /// The path of the file, folder or asset concerned, as users write it; nil where there is none.
        public let path: [UInt8]?
        /// A sentence that names the fault.
        public let sentence: String
        /// The remedy by a user; nil where `--repair` mends it.
        public let advice: String?
        /// Whether the fault has been mended.
        public var isMended = false
    }

    /// How many findings of one rule are named.
    public static let limit = 1000

    /// The named findings.
    public private(set) var findings: [Finding] = []
    private var named: [String: Int] = [:]
    /// How many findings are neither named nor mended.
    public private(set) var unnamed: Int64 = 0
    /// Sentences on states that are worth mentioning and no fault.
    public var notes: [String] = []
    /// How many blobs were checked.
    public var contents: Int64 = 0
    /// How many bytes of blobs were read.
    public var bytes: Int64 = 0
    /// Whether the check has reached its end.
    public var isComplete = false

    /// How many faults are not mended.
    public var count: Int64 { Int64(findings.count { !$0.isMended }) + unnamed }

    /// Creates an empty report.
    public init() {}

    /// Adds a fault: the rule that it breaks, its row or path, a sentence, and the remedy of a user.
    public mutating func add(
        _ rule: String,
        row: Int64? = nil,
        path: [UInt8]? = nil,
        _ sentence: String,
        advice: String? = nil
    ) {
        guard named[rule, default: 0] < Self.limit else {
            unnamed += 1
            return
        }
        named[rule, default: 0] += 1
        findings.append(Finding(rule: rule, row: row, path: path, sentence: sentence, advice: advice))
    }

    /// Adds violations of one rule, and counts those beyond them up to `count`.
    public mutating func add(_ violations: [Violation], count: Int64) {
        for violation in violations {
            add(
                violation.rule.name,
                row: violation.row,
                path: violation.path,
                violation.rule.sentence,
                advice: violation.rule.advice
            )
        }
        unnamed += count - Int64(violations.count)
    }

    /// Returns the report of a check before mending, with those findings marked as mended that this later
    /// report lacks.
    ///
    /// Findings that came only with the mending are added.
    public func after(_ former: CheckReport) -> CheckReport {
        var result = self
        let left = Set(findings.map(\.key))
        let known = Set(former.findings.map(\.key))
        result.findings = former.findings.map { finding in
            var finding = finding
            finding.isMended = !left.contains(finding.key)
            return finding
        }
        result.findings += findings.filter { !known.contains($0.key) }
        return result
    }

    /// A JSON object on one line, as in `uploads/jobs/verify.json`.
    public var bytesOfJSON: [UInt8] { json(status: count > 0 ? "error" : "success").bytes }

    /// Returns the JSON object with a status, after which `more` adds members.
    public func json(status: String, _ more: (inout JSONObject) -> Void = { _ in }) -> JSONObject {
        var object = JSONObject()
        object.add("token", "verify")
        object.add("kind", "verify")
        object.add("status", status)
        if count > 0 { object.add("error", "\(count) faults were found.") }
        more(&object)
        object.add("contents", contents)
        object.add("bytes", bytes)
        object.add("faults", count)
        object.add("unnamed", unnamed)
        object.add(
            "findings",
            findings.map { finding in
                var member = JSONObject()
                member.add("rule", finding.rule)
                member.add("row", finding.row)
                member.add("path", bytes: finding.path)
                member.add("sentence", finding.sentence)
                member.add("advice", finding.advice)
                member.add("mended", finding.isMended)
                return member
            }
        )
        object.add("notes", notes)
        return object
    }
}

extension CheckReport.Finding {
    /// The identity of a finding.
    fileprivate var key: String { "\(rule) \(row ?? 0) \(row == nil ? sentence : "")" }
}
