import ArgumentParser
import AssetModel
import Foundation
import SystemPackage

/// How far a command is with many files: a line on the terminal that is written again and again; nothing where stderr is none.
struct ProgressBar {
    private let total: Int
    private var done = 0
    private let isShown = isatty(STDERR_FILENO) == 1
    private var last = Date.distantPast
    private static let width = 30

    private init(total: Int) { self.total = total }

    /// Does something to each of some files, and says of how many it could be done; `body` has said itself what was wrong.
    ///
    /// `isComplete` says whether these are all that were meant.
    /// - Throws: the status of a failure where it could not be done to all.
    static func run<Item>(
        _ items: [Item],
        isComplete: Bool,
        _ done: String,
        name: (Item) -> String,
        _ body: (Item) throws -> Void
    ) throws {
        var bar = ProgressBar(total: items.count)
        var failed = 0
        for item in items {
            do { try body(item) } catch { failed += 1 }
            bar.advance((name(item) as NSString).lastPathComponent)
        }
        bar.clear()
        Output.print("\(items.count - failed) of \(items.count) files \(done).")
        if failed > 0 || !isComplete { throw ExitCode(ExitStatus.failed.rawValue) }
    }

    /// Shows how much of something is done until it all is: `body` answers how much, and nil at the end.
    static func run(of total: Int, _ what: String, _ body: () throws -> Int?) rethrows {
        var bar = ProgressBar(total: total)
        while let done = try body() {
            // A mount says how much; see `show`.
            bar.done = min(max(0, done), total)
            bar.show(what)
        }
        bar.clear()
    }

    /// One file more is done.
    private mutating func advance(_ name: String) {
        done += 1
        show(name)
    }

    private mutating func show(_ name: String) {
        guard isShown, done == total || Date().timeIntervalSince(last) > 0.1 else { return }
        last = Date()
        let filled = Self.width * done / max(1, total)
        let bar = String(repeating: "#", count: filled) + String(repeating: " ", count: Self.width - filled)
        // To the end of the line, so that nothing of a longer name is left: ECMA-48's EL.
        write("\r[\(bar)] \(done)/\(total) \(Shown.name(String(name.prefix(40))))\u{1B}[K")
    }

    /// The line is free for something else.
    private func clear() { if isShown { write("\r\u{1B}[K") } }

    private func write(_ text: String) { Output.write(STDERR_FILENO, Array(text.utf8)) }
}
