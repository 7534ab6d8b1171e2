internal import AssetModel
internal import Glibc
internal import Synchronization
public import SystemPackage

/// Writes user-set values into copies of files, and determines how to rotate a picture without changing its
/// pixels, in a process of its own.
///
/// ## Concurrency
/// The worker is locked while it works on a file: one at a time.
public final class Editor: Sendable {
    /// The way in which a picture of some type is rotated.
    public enum Turning: Equatable, Sendable {
        /// By replacing the values at these places of the file, and nothing else.
        case patch([Patch])
        /// By tags with these values, which ExifTool writes into a copy.
        case tags([String])
    }

    /// Bytes that replace others.
    public struct Patch: Equatable, Sendable {
        /// The position from the start of the file.
        public let offset: Int64
        /// The new bytes, as many as before.
        public let bytes: [UInt8]
    }

    private let isCancelled: @Sendable () -> Bool
    private let worker = Mutex<(process: WorkerProcess, limit: Int64)?>(nil)

    /// Makes an editor; its worker starts with the first file.
    ///
    /// When `isCancelled`, which is called twice a second, work on the current file is abandoned.
    public init(isCancelled: @escaping @Sendable () -> Bool = { false }) { self.isCancelled = isCancelled }

    /// Stops the worker until the next file comes.
    public func rest() { worker.withLock { $0 = nil } }

    /// Returns how to rotate a file by some degrees clockwise.
    ///
    /// `orientation` is EXIF's 1 to 8, as it was found in the file; `isInXMP` says whether XMP has it, too.
    /// - Throws: `.file` where files of the type cannot be rotated losslessly.
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
            // irot counts counter-clockwise: ISO/IEC 23008-12, 6.5.10.
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

    /// Returns whether a type is JPEG or a format built like TIFF, as most cameras' raw pictures are.
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
            // An invalid orientation counts as upright.
            places.append((offset, fields[index + 1] == "little", (1...8).contains(value) ? value : 1))
        }
        return places
    }

    /// Writes tags into a copy of a file.
    ///
    /// Each is `NAME=VALUE`, `NAME+=VALUE` for one value of a list, or `NAME?=VALUE` for a tag that is
    /// changed only if it exists. The copy is open for reading and writing. With `mustBeExact`, ExifTool may
    /// neither leave out nor repair anything.
    /// - Returns: the tags that ExifTool does not know, or cannot write.
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
        // The bytes written besides the file itself are a few texts; 64 MiB are more than ExifTool ever
        // needs.
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

    /// Writes tags into a separate XMP file, which is open for reading and writing.
    /// - Returns: the tags that ExifTool does not know, or cannot write.
    @discardableResult
    public func writeSidecar(_ tags: [String], into file: FileDescriptor) throws(Examiner.Failure) -> [String] {
        Array(try ask(["sidecar", ""] + tags, nil, writing: file, outputBytes: 1 << 20).dropFirst())
    }

    /// Sends a request, and returns the fields of the answer behind its `ok`.
    private func ask(
        _ request: [String],
        _ file: FileDescriptor?,
        writing copy: FileDescriptor? = nil,
        outputBytes: Int64
    ) throws(Examiner.Failure) -> [String] {
        let bytes = request.flatMap { Array($0.utf8.filter { $0 != 0 }) + [0] }
        guard bytes.count < 65_536 else { throw .file("All that is to be written is more than 64 KiB.") }
        let answer = try worker.withLock { worker throws(Examiner.Failure) in
            // A worker with a lower output limit is replaced.
            if let present = worker, present.limit < outputBytes { worker = nil }
            let limit = worker?.limit ?? max(outputBytes, 256 << 20)
            var process = worker?.process
            defer { worker = process.map { ($0, limit) } }
            // A file that has killed one worker does not get a second one: a request waits.
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
