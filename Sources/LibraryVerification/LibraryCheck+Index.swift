internal import AssetModel
public import Catalog

// The check of the search index against the catalog.
extension LibraryCheck {
    /// The differences between an index and a catalog.
    public struct IndexDifferences: Sendable {
        /// The number of assets in the index that can no longer be found, of those that it lacks, and of
        /// those whose entry is wrong.
        var (gone, missing, wrong) = (0, 0, 0)
        /// The last asset that was compared; nil at the end.
        public var last: Int64?

        /// Makes a result without differences, at the end.
        public init() {}
    }

    private static let indexBatch = 64

    /// Compares an index with the catalog, a part at a time; `step` compares the part behind a number.
    public mutating func checkIndex<Failure: Error>(
        advice: String?,
        _ step: (Int64) throws(Failure) -> IndexDifferences
    ) throws(Failure) {
        var (gone, missing, wrong) = (0, 0, 0)
        var position: Int64? = 0
        while let from = position, !isUnwanted() {
            let part = try step(from)
            (gone, missing, wrong) = (gone + part.gone, missing + part.missing, wrong + part.wrong)
            position = part.last
        }
        for (count, what) in [
            (gone, "has \(gone.counted("asset")) that can be found no more"),
            (missing, "lacks \(missing.counted("asset"))"),
            (wrong, "has other words or values of \(wrong.counted("asset")) than the catalog"),
        ] where count > 0 {
            add("search", "search.sqlite \(what).", advice: advice)
        }
    }

    /// Compares the part of an index behind a number, which must not change before this returns; the catalog
    /// is read at one moment.
    ///
    /// A thorough check compares each asset's entry with the one that a new index would have.
    public func indexStep<Failure: Error>(
        after position: Int64,
        index: ((Records) throws -> [Int64]) throws(Failure) -> [Int64],
        catalog: ((Records) throws -> CatalogPart) throws(Failure) -> CatalogPart
    ) throws(Failure) -> IndexDifferences {
        let limit = Self.indexBatch
        let indexed = try index { try $0.indexedAssets(after: position, limit: limit) }
        let isThorough = isThorough
        let part = try catalog { records in
            let known = try records.assets(after: position, limit: limit)
            // The last number up to which both lists are complete.
            let ends = [indexed, known].compactMap { $0.count == limit ? $0.last : nil }
            let last = ends.min() ?? max(indexed.last ?? position, known.last ?? position)
            guard last > position else { return CatalogPart() }
            let searchable = try records.searchable(in: position + 1...last)
            let both = isThorough ? Set(indexed).intersection(searchable.found).subtracting(searchable.due) : []
            let documents = try both.sorted().compactMap { try records.searchDocument(of: AssetID(rawValue: $0)) }
            return CatalogPart(searchable: searchable, documents: documents, last: last)
        }
        guard let searchable = part.searchable, let last = part.last else { return IndexDifferences() }
        let here = Set(indexed.filter { $0 <= last }).subtracting(searchable.due)
        let there = searchable.found.subtracting(searchable.due)
        let held = try index { records in try part.documents.filter { try records.holds($0) }.map(\.asset.rawValue) }
        var differences = IndexDifferences()
        differences.gone = here.subtracting(there).count
        differences.missing = there.subtracting(here).count
        differences.wrong = part.documents.count - held.count
        differences.last = last
        return differences
    }

    /// The catalog's values for the assets in a part of an index.
    public struct CatalogPart: Sendable {
        /// The searchable assets.
        var searchable: SearchablePart?
        /// The entries that a new index would have.
        var documents: [SearchDocument] = []
        /// The last asset of the part.
        var last: Int64?
    }
}
