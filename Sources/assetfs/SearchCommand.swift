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
    @OptionGroup var names: NameOptions
    @Flag(help: "Print JSON, one object on a line: user.asset.info of each file.")
    var json = false

    func run() throws {
        let text = query.joined(separator: " ")
        do throws(SearchQuery.Invalid) { _ = try SearchQuery(text) } catch { throw ValidationError(error.reason) }
        let mount = try Held.mount(mount)
        let name = RawArguments.bytes(SearchQuery.name(of: text))
        let search = mount.find([Array("search".utf8)])
        guard let folder = search?.find([name]), let directory = unsafe fdopendir(folder.reopen()) else {
            let number = errno
            switch number {
            case EINVAL:
                let reason = try ExtendedAttribute.read("user.asset.error", of: mount)
                throw ExitStatus.failed.because(Sentence(reason ?? "“\(text)” is no query."))
            case ENAMETOOLONG: throw ExitStatus.failed.because("The query has more than 255 bytes.")
            case ENOENT:
                throw ExitStatus.failed.because(
                    "\(mount.path) is no assetfs mount, or one with view=folders, which hides search/."
                )
            default:
                throw ExitStatus.failed.because(
                    "\(mount.path.appending("search")): \(unsafe String(cString: strerror(number)))."
                )
            }
        }
        defer { unsafe _ = closedir(directory) }
        var (count, isComplete) = (0, true)
        while count < limit ?? .max, let entry = unsafe readdir(directory) {
            guard unsafe entry.pointee.d_type == UInt8(DT_LNK) else { continue }
            let name = unsafe withUnsafeBytes(of: entry.pointee.d_name) { unsafe Array($0.prefix { $0 != 0 }) }
            // A file that was removed meanwhile is left out.
            guard let names = folder.find([name]).flatMap(MountPath.found) else { continue }
            count += 1
            // The failure has been printed already.
            do { try show(names, in: mount) } catch { isComplete = false }
        }
        if !isComplete { throw ExitCode(ExitStatus.failed.rawValue) }
    }

    private func show(_ path: [[UInt8]], in mount: Held) throws {
        guard json else { return Output.print(mount.path.appending(below: path), isRaw: names.isRaw) }
        guard let file = mount.find(path), let info = try AssetInformation.text(of: file, in: mount) else { return }
        if names.isRaw { names.print(info) } else { Output.printJSON(info) }
    }
}
