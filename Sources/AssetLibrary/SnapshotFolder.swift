internal import AssetModel
internal import Glibc

/// The folder `snapshots/` of a library: copies of its catalog, `catalog-YYYYMMDD.sqlite`.
struct SnapshotFolder {
    /// How many are kept.
    static let count = 7

    let path: String

    init(of library: String) { path = "\(library)/snapshots" }

    /// The names of the copies, the oldest first.
    var names: [String] {
        ClosedLibrary.names(in: path).filter { name in
            name.hasPrefix("catalog-") && name.hasSuffix(".sqlite") && name.utf8.count == 23
                && name.dropFirst(8).prefix(8).allSatisfy(\.isNumber)
        }
    }

    /// Returns the name of the copy of a day, in UTC.
    static func name(at time: Timestamp) -> String {
        "catalog-\(time.description.prefix(10).filter { $0 != "-" }).sqlite"
    }

    /// Gives a damaged copy a name that is none of a copy's: `.damaged` comes at its end.
    func setAside(_ name: String) { unsafe _ = rename("\(path)/\(name)", "\(path)/\(name).damaged") }

    /// When the newest copy was made; nil where there is none.
    var newest: Timestamp? {
        var status = stat()
        guard let name = names.last, unsafe stat("\(path)/\(name)", &status) == 0 else { return nil }
        return Timestamp(rawValue: Int64(status.st_mtim.tv_sec) * 1_000_000_000)
    }
}
