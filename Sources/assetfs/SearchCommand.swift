import ArgumentParser
import AssetModel
import Foundation
import SystemPackage

struct SearchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "search",
        abstract: "Prints the files that a query finds, the best first.",
        discussion: """
            Words are looked for in names, titles, captions, keywords, people, descriptions, cameras and credits; all must be there. \
            "Two words" in quotation marks follow each other, wor* goes on, OR stands between two of which one must be there, - before \
            what must not, and ( ) hold together. title:word looks in one text alone. Filters: type:image (video, audio, document, \
            text, archive, image/png, png), ext:jpg, size:>1M, width:>4000, height:, duration:<60, pages:, rank:5.., after:2024-01-01, \
            before:2024, date:2024-05, uploaded:>=2024-05-01, access:private, duplicate:yes, in:folder/sub, near:48.2,16.4,10km, id:, \
            user:, sha256:.

            The same is found in the mount's search/QUERY/, where %2F stands for a slash.
            """
    )

    @Argument(parsing: .allUnrecognized, help: "What is looked for.")
    var query: [String]
    @Option(help: "Where the library is mounted; need not be said when there is one mount.")
    var mount: FilePath?
    @Option(help: "So many at most.")
    var limit: Int?
    @Flag(
        name: [.customShort("0"), .customLong("null")],
        help: "End each path with a NUL instead of a newline, for xargs -0."
    )
    var isNullEnded = false
    @Flag(help: "Print JSON, one object on a line: user.asset.info of each file.")
    var json = false

    func run() throws {
        let text = query.joined(separator: " ")
        do throws(SearchQuery.Invalid) { _ = try SearchQuery(text) } catch { throw ValidationError(error.reason) }
        let mount = try MountPoint.only(mount)
        let search = mount.appending("search")
        let folder = search.appending(name: RawArguments.bytes(SearchQuery.name(of: text)))
        guard let directory = unsafe folder.withC({ unsafe opendir($0) }) else {
            let number = errno
            switch number {
            case EINVAL:
                let reason = try ExtendedAttribute.read("user.asset.error", of: search)
                throw ExitStatus.failed.because(reason ?? "“\(text)” is no query.")
            case ENAMETOOLONG: throw ExitStatus.failed.because("The query has more than 255 bytes.")
            case ENOENT:
                throw ExitStatus.failed.because(
                    "\(mount) is no assetfs mount, or one with view=folders, which hides search/."
                )
            default: throw ExitStatus.failed.because("\(folder): \(unsafe String(cString: strerror(number))).")
            }
        }
        defer { unsafe _ = closedir(directory) }
        var count = 0
        while count < limit ?? .max, let entry = unsafe readdir(directory) {
            guard unsafe entry.pointee.d_type == UInt8(DT_LNK) else { continue }
            let name = unsafe withUnsafeBytes(of: entry.pointee.d_name) { unsafe Array($0.prefix { $0 != 0 }) }
            // What goes meanwhile is not there.
            guard let path = Self.target(of: name, in: folder, below: mount) else { continue }
            count += 1
            try show(path)
        }
    }

    /// The path that a link leads to, byte for byte.
    private static func target(of name: [UInt8], in folder: FilePath, below mount: FilePath) -> FilePath? {
        guard let target = folder.appending(name: name).linkTarget(), target.count > 6 else { return nil }
        return mount.appending(name: Array(target.dropFirst(6)))
    }

    private func show(_ path: FilePath) throws {
        var line = path.bytes
        if json {
            guard let info = try? ExtendedAttribute.bytes("user.asset.info", of: path) else { return }
            line = info
        }
        Output.print(line, end: isNullEnded ? 0 : 0x0A)
    }
}
