public import AssetModel
public import Catalog
internal import LibraryStorage

extension Records {
    /// Returns the names that lead to a folder, and the folder without a name where they begin.
    public func path(of folder: NodeID) throws -> (root: NodeID, names: [EntryName]) {
        var (names, current): ([EntryName], NodeID) = ([], folder)
        while let entry = try anyEntry(of: current) {
            names.append(entry.name)
            current = entry.parent
        }
        return (current, names.reversed())
    }
}
