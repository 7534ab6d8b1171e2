#if DEBUG || ASSETFS_FUZZ
@testable import AssetFilesystem
@testable import AssetLibrary
@testable import AssetModel
@testable import Catalog
import Foundation
import Synchronization

/// A catalog whose files are unlinked, so that nothing remains on the disk.
private let catalog: Catalog? = {
    let folder = NSTemporaryDirectory() + "assetfs-fuzz-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: folder) }
    guard (try? FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)) != nil else {
        return nil
    }
    return try? Catalog(path: folder + "/catalog.sqlite") {}
}()

/// The number of inputs that changed the catalog.
private let inputCount = Atomic(0)

// Data that the daemon reads from its library and from other programs, and numbers that the kernel has
// received.
extension FuzzTarget {
    /// Rows of a catalog that a disk or another program has changed.
    static let rows = FuzzTarget("rows", words: ["0-1,2-3", "-1-5", "9223372036854775807", ",,", "0,1000,4294967295"]) {
        input in
        guard let catalog, input.count >= 33 else { return }
        let numbers = (0..<4).map { place in
            input[(8 * place)..<(8 * place + 8)].reduce(Int64(0)) { $0 << 8 | Int64($1) }
        }
        let (choice, rest) = (input[32], Array(input[33...]))
        let (first, second) = halves(rest)
        let journal = choice & 1 == 0 ? Journal.receipts : .events
        // An error that leaves the change would stop the catalog for good.
        let problem = try catalog.write { records in
            let table = journal.rawValue
            func add(_ end: Int64, _ line: [UInt8]) {
                try? records.run("INSERT INTO \(table) (end, line) VALUES (?, ?)", [.integer(end), .blob(line)])
            }
            try records.run("DELETE FROM \(table)", [])
            add(numbers[0], first)
            add(numbers[1], second)
            let count = Int(choice >> 1)
            for offset in [0, numbers[2], numbers[3]] where offset >= 0 {
                let bytes = (try? records.bytes(of: journal, from: offset, count: count)) ?? []
                if bytes.count > count { return "\(bytes.count) bytes are read instead of \(count)" }
                _ = try? records.event(after: offset)
            }
            _ = try? records.size(of: journal)
            return ""
        }
        try demand(problem.isEmpty, problem)
        // Changes are kept in memory until a commit.
        if inputCount.wrappingAdd(1, ordering: .relaxed).newValue.isMultiple(of: 10_000) { try catalog.commit {} }
    }

    static let scanner = FuzzTarget(
        "scanner",
        words: ["fd[12]: ", "OK", "Eicar-Signature FOUND", " FOUND", " ERROR", "stream: ", ":", "\n", "\0"]
    ) { input in
        let reply = String(decoding: input, as: UTF8.self)
        let name: String?
        do throws(MalwareScanner.Failure) { name = try MalwareScanner.finding(in: reply) } catch {
            return try checkSentence(Shown.line(error.sentence))
        }
        try demand(name == nil || reply.hasSuffix(" FOUND"), "a file is infected that is not")
        try demand(name != nil || reply.hasSuffix("OK") && reply.contains(":"), "a file is clean that may not be")
    }

    /// Node numbers from file handles, and names that are looked up in views.
    static let views = FuzzTarget(
        "views",
        words: [".json", "uuid~", "fetch", "scrub.json", "verify.json", "-1", "+1", "00"]
    ) {
        input in
        if input.count >= 8 {
            let node = NodeID(rawValue: input.prefix(8).reduce(Int64(0)) { $0 << 8 | Int64($1) })
            if let view = View(node) {
                try demand(view.id == node, "the view \(view) has the number \(view.id.rawValue)")
                _ = (view.mode, view.isDirectory, view.entries, view.changesByItself, view.holdsFiles)
            }
        }
        guard let name = try? EntryName(input) else { return }
        for view in [View.root, .uploads, .jobs] {
            if let node = view.node(named: name) { _ = View(node) }
        }
        if let asset = AssetFilesystem.asset(named: name) {
            try demand(Array(String(asset.rawValue).utf8) == input, "\(name) is asset \(asset.rawValue)")
        }
        if let text = text(input), let asset = AssetLibrary.asset(ofJob: text) {
            try demand(asset.rawValue > 0, "the job \(text) is of asset \(asset.rawValue)")
        }
    }
}
#endif
