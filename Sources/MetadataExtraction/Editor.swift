internal import AssetModel
internal import Glibc
internal import Synchronization
public import SystemPackage

/// Writes what people say of files into copies of them, and finds out how a picture is turned without touching its pixels, in a
/// process of its own.
///
/// ## Concurrency
/// The worker is held while it works on a file: one at a time.
public final class Editor: Sendable {
    /// How a picture of some type is turned.
    public enum Turning: Equatable, Sendable {
        /// By other values at these places of the file, and nothing else.
        case patch([Patch])
        /// By tags with these values, which ExifTool writes into a copy.
        case tags([String])
    }

    /// Bytes that take the place of others.
    public struct Patch: Equatable, Sendable {
        /// From the start of the file.
        public let offset: Int64
        /// As many as there were.
        public let bytes: [UInt8]
    }

    private let isCancelled: @Sendable () -> Bool
    private let worker = Mutex<(process: WorkerProcess, limit: Int64)?>(nil)

    /// Makes an editor; its worker begins with the first file.
    ///
    /// When `isCancelled`, which is asked twice a second, the file at hand is given up.
    public init(isCancelled: @escaping @Sendable () -> Bool = { false }) { self.isCancelled = isCancelled }

    /// Ends the worker until the next file comes.
    public func rest() { worker.withLock { $0 = nil } }

    /// How to turn a file by some degrees clockwise.
    ///
    /// `orientation` is EXIF's 1 to 8, as it was found in it; `isInXMP` says whether XMP has it, too.
    /// - Throws: `.file` where files of the type cannot be turned without a loss.
    public func turning(
        _ file: FileDescriptor,
        type: String,
        orientation: Int64,
        isInXMP: Bool,
        by degrees: Int64
    ) throws(Examiner.Failure) -> Turning {
        let tag = "Orientation=\(Orientation.turned(orientation, by: degrees))"
        let both = ["IFD0:\(tag)"] + (isInXMP ? ["XMP-tiff:\(tag)"] : [])
        let clockwise: [Int64: Int64] = [1: 0, 6: 90, 3: 180, 8: 270]
        switch type {
        case "image/heic", "image/heif", "image/avif":
            // irot counts against the clock: ISO/IEC 23008-12, 6.5.10.
            guard let turned = clockwise[orientation] else {
                throw .file("A mirrored picture of this type cannot be turned.")
            }
            return .tags(["QuickTime:Rotation=\((720 - turned - degrees) % 360)"])
        case "video/mp4", "video/quicktime":
            guard let turned = clockwise[orientation] else { throw .file("A mirrored film cannot be turned.") }
            return .tags(["Composite:Rotation=\((turned + degrees) % 360)"])
        case "image/png", "image/webp", "image/jp2", "image/jxl":
            return .tags(both)
        case let type where Self.hasDirectories(type):
            if isInXMP { return .tags(both) }
            let places = try orientations(in: file)
            guard !places.isEmpty else { return .tags(both) }
            return .patch(
                places.map { place in
                    let value = UInt8(Orientation.turned(place.value, by: degrees))
                    return Patch(offset: place.offset, bytes: place.isLittleEndian ? [value, 0] : [0, value])
                }
            )
        default:
            throw .file(
                "Files of the type \(type) have no place for an orientation, and are not turned by changing their pixels."
            )
        }
    }

    /// JPEG and what is built like TIFF, as most cameras' raw pictures are.
    private static func hasDirectories(_ type: String) -> Bool {
        let raw = [
            "image/x-adobe-dng", "image/x-nikon-nef", "image/x-nikon-nrw", "image/x-sony-arw", "image/x-sony-sr2",
            "image/x-canon-cr2", "image/x-pentax-pef", "image/x-olympus-orf", "image/x-panasonic-rw2",
            "image/x-samsung-srw",
            "image/x-hasselblad-3fr", "image/x-epson-erf", "image/x-kodak-dcr", "image/x-kodak-kdc",
        ]
        return type == "image/jpeg" || type == "image/tiff" || raw.contains(type)
    }

    private func orientations(
        in file: FileDescriptor
    ) throws(Examiner.Failure) -> [(offset: Int64, isLittleEndian: Bool, value: Int64)] {
        var status = stat()
        guard unsafe fstat(file.rawValue, &status) == 0 else { throw .file("The file cannot be measured.") }
        let fields = try ask(["orientations", ""], file, outputBytes: 0)
        var places: [(Int64, Bool, Int64)] = []
        for index in stride(from: 0, to: fields.count - 2, by: 3) {
            guard let offset = Int64(fields[index]), (2...Int64(status.st_size) - 2).contains(offset),
                let value = Int64(fields[index + 2])
            else { throw .file("What the worker said of the file's orientation is no answer.") }
            // What is no orientation counts as upright.
            places.append((offset, fields[index + 1] == "little", (1...8).contains(value) ? value : 1))
        }
        return places
    }

    /// Writes tags into a copy of a file.
    ///
    /// Each is `NAME=VALUE`, `NAME+=VALUE` for one value of a list, or `NAME?=VALUE` for what is changed only where it is there. The copy is
    /// open for reading and writing. If it `mustBeExact`, ExifTool may leave nothing out and mend nothing.
    /// - Returns: what ExifTool does not know, or cannot write.
    @discardableResult
    public func embed(
        _ tags: [String],
        from file: FileDescriptor,
        into copy: FileDescriptor,
        extension: String,
        mustBeExact: Bool = false
    ) throws(Examiner.Failure) -> [String] {
        var status = stat()
        guard unsafe fstat(file.rawValue, &status) == 0 else { throw .file("The file cannot be measured.") }
        // What is written besides the file itself is a few texts; 64 MiB are more than ExifTool ever needs.
        let limit = Int64(status.st_size) + 64 << 20
        let verb = mustBeExact ? "turn" : "embed"
        let answer = try ask([verb, `extension`] + tags, file, writing: copy, outputBytes: limit)
        guard answer.first == "changed" else {
            throw .file("ExifTool finds no place for it in the file, or it is there already.")
        }
        guard unsafe fstat(copy.rawValue, &status) == 0, status.st_size > 0 else {
            throw .file("ExifTool wrote nothing, and did not say why.")
        }
        return Array(answer.dropFirst())
    }

    /// Writes tags into an XMP file of its own, which is open for reading and writing.
    /// - Returns: what ExifTool does not know, or cannot write.
    @discardableResult
    public func writeSidecar(_ tags: [String], into file: FileDescriptor) throws(Examiner.Failure) -> [String] {
        Array(try ask(["sidecar", ""] + tags, nil, writing: file, outputBytes: 1 << 20).dropFirst())
    }

    /// Asks, and gives the fields of the answer behind its `ok`.
    private func ask(
        _ request: [String],
        _ file: FileDescriptor?,
        writing copy: FileDescriptor? = nil,
        outputBytes: Int64
    ) throws(Examiner.Failure) -> [String] {
        let bytes = request.flatMap { Array($0.utf8.filter { $0 != 0 }) + [0] }
        guard bytes.count < 65_536 else { throw .file("All that is to be written is more than 64 KiB.") }
        let answer = try worker.withLock { worker throws(Examiner.Failure) in
            // One that may write too little is of no use.
            if let present = worker, present.limit < outputBytes { worker = nil }
            let limit = worker?.limit ?? max(outputBytes, 256 << 20)
            var process = worker?.process
            defer { worker = process.map { ($0, limit) } }
            // A file that has ended one worker does not get a second: somebody waits.
            return try Examiner.ask(
                &process,
                .exiftool(outputBytes: limit),
                bytes,
                file,
                writing: copy,
                mayRetry: false,
                isCancelled: isCancelled
            )
        }
        let fields = answer.split(separator: 0, omittingEmptySubsequences: false).dropLast()
            .map { String(decoding: $0, as: UTF8.self) }
        guard fields.first == "ok" else { throw .file(fields.dropFirst().first ?? "The worker gave no reason.") }
        return Array(fields.dropFirst())
    }
}
