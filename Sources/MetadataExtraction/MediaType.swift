/// Merges the MIME types from libmagic and ExifTool, each of which is better for some files.
enum MediaType {
    /// Returns the more reliable of the two types.
    static func merged(_ magic: String?, _ embedded: EmbeddedFacts, hasAudio: Bool, hasVideo: Bool) -> String {
        let said = embedded["File:MIMEType"].first
        let magic = magic ?? "application/octet-stream"
        var type = magic
        let isVague = said == nil || said == "application/octet-stream" || said == "application/unknown"
        if let said, !isVague, embedded["ExifTool:Error"].isEmpty, !isKnownBetter(magic) { type = said }
        if hasAudio, !hasVideo { type = soundOnly[type] ?? type }
        return canonical[type] ?? type
    }

    /// Returns whether libmagic's type is preferred, because it follows IANA's names or examines more of the
    /// bytes.
    private static func isKnownBetter(_ type: String) -> Bool {
        let beginnings = [
            "text/", "image/vnd.adobe.photoshop", "font/sfnt", "application/x-executable",
            "application/x-pie-executable",
            "application/x-sharedlib", "application/x-dosexec", "application/vnd.microsoft.portable-executable",
            "application/vnd.debian.binary-package", "application/x-rpm", "application/x-7z-compressed",
            "application/x-xz",
            "application/zstd", "application/x-rar", "application/vnd.rar", "application/vnd.ms-cab-compressed",
            "audio/midi",
            "audio/basic", "image/x-tga", "video/MP2T",
        ]
        return beginnings.contains { type.hasPrefix($0) }
    }

    /// The types of film containers that hold only sound.
    private static let soundOnly = [
        "video/mp4": "audio/mp4", "video/quicktime": "audio/mp4", "video/x-m4v": "audio/mp4",
        "video/x-ms-asf": "audio/x-ms-wma",
        "video/x-ms-wmv": "audio/x-ms-wma", "video/ogg": "audio/ogg", "application/ogg": "audio/ogg",
        "video/x-matroska": "audio/x-matroska", "application/x-matroska": "audio/x-matroska",
        "video/webm": "audio/webm",
        "video/3gpp": "audio/3gpp", "video/3gpp2": "audio/3gpp2",
    ]

    /// The canonical name of each type with several names.
    private static let canonical = [
        "audio/x-m4a": "audio/mp4", "audio/x-m4b": "audio/mp4", "application/x-matroska": "video/x-matroska",
        "image/x-icon": "image/vnd.microsoft.icon", "application/x-rar-compressed": "application/vnd.rar",
        "application/x-rar": "application/vnd.rar", "video/x-m4v": "video/mp4", "image/x-ms-bmp": "image/bmp",
        "audio/x-wav": "audio/wav", "audio/vnd.wave": "audio/wav", "application/ogg": "video/ogg",
    ]
}
