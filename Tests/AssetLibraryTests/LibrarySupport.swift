import AssetLibrary
import AssetModel
import Catalog
import Foundation
@testable import LibraryRules
@testable import LibraryStorage
import Logging
import TestSupport
import Testing

/// Runs `body` with a library that is not mounted.
func withLibrary(
    _ name: String = #function,
    saving: Duration = .seconds(15),
    activity: Activity = Activity(),
    policies: [(key: PolicyKey, value: String)] = keepingAll,
    time: @escaping @Sendable () -> Timestamp = { .now },
    _ body: (AssetLibrary, String) throws -> Void
) throws {
    try withScratch(name) { path in
        let library = try AssetLibrary(
            at: path + "/library",
            log: quiet,
            saving: saving,
            activity: activity,
            policies: policies,
            time: time
        )
        try body(library, path + "/library")
        try library.close()
        try checkLibrary(path + "/library")
    }
}

/// Policies that keep all former versions, however short they were current, because tests are quick.
let keepingAll: [(key: PolicyKey, value: String)] = [(.versions, "all")]

let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

extension AssetLibrary {
    func put(_ text: String, at offset: Int64 = 0, in node: OpenNode) throws {
        try unsafe Array(text.utf8).withUnsafeBytes { try unsafe write($0, at: offset, to: node) }
    }

    func upload(_ name: String, _ text: String) throws -> NodeRecord {
        let (record, node) = try makeFile(try EntryName(name), in: .folders, mode: 0o644, by: Uploader(uid: 7, gid: 8))
        try put(text, in: node)
        try flush(node)
        close(node, wasWriting: true)
        return try #require(try read { try $0.node(record.id) })
    }

    func trash() throws -> [Trashed] {
        try trashed(try trashedAssets(for: Uploader()) { false } ?? [], for: Uploader())
    }

    func outcomes() throws -> [String] {
        let text = String(decoding: try read { try $0.bytes(of: .receipts, from: 0, count: 1 << 20) }, as: UTF8.self)
        return try text.split(separator: "\n").map { line in
            let receipt = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
            return try #require(receipt?["outcome"] as? String)
        }
    }

    func versions(of node: NodeID) throws -> [VersionRecord] {
        try read { records in try records.node(node)?.asset.map { try records.versions(of: $0) } ?? [] }
    }
}
