import ArgumentParser
import AssetModel
import Foundation
import SystemPackage

/// The progress of a command with many files: a line on the terminal that is overwritten; nothing where
/// stderr is no terminal.
struct ProgressBar {
    private let total: Int
    private var done = 0
    private let isShown = isatty(STDERR_FILENO) == 1
    private var last = Date.distantPast
    private static let width = 30

    private init(total: Int) { self.total = total }

    /// Runs `body` for each of some items, and prints for how many it succeeded; `body` prints its failures
    /// itself.
    ///
    /// `isComplete` says whether these are all the items that were asked for.
    /// - Throws: the status of a failure where `body` failed for one.
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
        Output.print("\(items.count - failed) of \(items.count.counted("file")) \(done).")
        if failed > 0 || !isComplete { throw ExitCode(ExitStatus.failed.rawValue) }
    }

    /// Shows the progress of a task until it is complete: `body` returns the completed amount, and nil at the
    /// end.
    static func run(of total: Int, _ what: String, _ body: () throws -> Int?) rethrows {
        var bar = ProgressBar(total: total)
        while let done = try body() {
            // The amount comes from a mount and is not trusted; see `show`.
            bar.done = min(max(0, done), total)
            bar.show(what)
        }
        bar.clear()
    }

    /// Counts one more file.
    private mutating func advance(_ name: String) {
        done += 1
        show(name)
    }

    private mutating func show(_ name: String) {
        guard isShown, done == total || Date().timeIntervalSince(last) > 0.1 else { return }
        last = Date()
        let filled = Self.width * done / max(1, total)
        let bar = String(repeating: "#", count: filled) + String(repeating: " ", count: Self.width - filled)
        // The bar erases to the end of the line (ECMA-48's EL), so that nothing of a longer name is left.
        write("\r[\(bar)] \(done)/\(total) \(Shown.name(String(name.prefix(40))))\u{1B}[K")
    }

    /// Clears the line for other output.
    private func clear() { if isShown { write("\r\u{1B}[K") } }

    private func write(_ text: String) { Output.write(STDERR_FILENO, Array(text.utf8)) }
}
