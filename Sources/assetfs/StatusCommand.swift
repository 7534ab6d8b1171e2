import ArgumentParser
import AssetModel
import Foundation
import SystemPackage

struct StatusCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Shows what a library holds, and what its disk has room for.",
        discussion: """
            Equal contents are kept and counted once. Trash and former contents go by themselves when there is no room, and so df(1) \
            counts them as free.
            """
    )

    @Argument(help: "Where the library is mounted; need not be said when there is one mount.")
    var mountpoint: FilePath?
    @Flag(help: "Print JSON: user.asset.info of the mount's folders/.")
    var json = false

    func run() throws {
        let mount = try Held.mount(mountpoint)
        guard let text = try ExtendedAttribute.read("user.asset.info", of: try mount.folders) else {
            throw ExitStatus.failed.because("\(mount.path) is no assetfs mount.")
        }
        if json { return Output.printJSON(text) }
        let info = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any] ?? [:]
        guard info["library"] != nil else {
            throw ExitStatus.failed.because(
                "What the library holds is for root and the user who has mounted it to see; df(1) shows what there is room for."
            )
        }
        func bytes(_ key: String, of members: [String: Any]? = nil) -> String {
            ByteCountFormatter.string(fromByteCount: Int64((members ?? info)[key] as? Int ?? 0), countStyle: .binary)
        }
        let rows = [
            ("Library", "\(info["library"] ?? "")"),
            ("Assets", "\(info["assets"] ?? 0), \(bytes("bytes"))"),
            ("In the trash", "\(info["trashed"] ?? 0)"),
            ("Former contents", "\(info["former_versions"] ?? 0)"),
            ("Kept for these", bytes("reclaimable_bytes")),
            ("Damaged contents", "\(info["damaged"] ?? 0)"),
            ("Last compared", (info["scrubbed"] as? String).map { "\($0.prefix(19))Z" } ?? "never"),
            ("Free on the disk", "\(bytes("free_bytes")) of \(bytes("disk_bytes"))"),
        ]
        let stores = (info["stores"] as? [[String: Any]] ?? []).map { store -> (String, String) in
            let isThere = store["is_there"] as? Bool ?? false
            let state = isThere ? "\(bytes("free_bytes", of: store)) free" : "not there"
            return (
                "Store \(store["id"] ?? "")",
                "\(store["name"] ?? ""): \((store["contents"] as? Int ?? 0).counted("content")), \(bytes("bytes", of: store)); \(state), \(store["path"] ?? "")"
            )
        }
        let moves = info["to_be_moved"] as? Int ?? 0
        for (label, value) in rows + stores + (moves > 0 ? [("To be moved", moves.counted("content"))] : []) {
            Output.print(Sentence(label.padded(to: 20) + value))
        }
    }
}
