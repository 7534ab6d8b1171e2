internal import AssetModel
internal import Glibc

extension EmbeddedFacts {
    /// Returns the time of capture, and the zone where the file has it, or where the GPS time reveals it.
    func capturedTime(ofVideo isVideo: Bool) -> CapturedTime? {
        let photo = [
            "MWG:DateTimeOriginal", "XMP-exif:DateTimeOriginal", "MWG:CreateDate",
        ]
        // QuickTime's and Matroska's times are UTC by their specifications; ExifTool writes them so.
        let film = [
            "Keys:CreationDate", "ItemList:ContentCreateDate", "UserData:ContentCreateDate",
            "UserData:DateTimeOriginal",
            "QuickTime:CreateDate", "Track1:MediaCreateDate", "Matroska:DateTimeOriginal", "RIFF:DateTimeOriginal",
            "ASF:CreationDate", "M2TS:DateTimeOriginal", "H264:DateTimeOriginal",
        ]
        let sound = [
            "ID3*:RecordingTime", "ID3*:Year", "ID3*:Date", "Vorbis:Date", "ItemList:ContentCreateDate", "APE:Year",
            "ID3v1:Year",
        ]
        let names = isVideo ? film + photo + sound : photo + film + sound
        for name in names {
            guard let text = first([name]), var time = CapturedTime(text), Self.isMeant(time) else { continue }
            if time.offset == nil, name.hasPrefix("MWG:") { time.offset = offsetBySatellite(time) }
            return time
        }
        return first(["Composite:GPSDateTime"]).flatMap { CapturedTime($0) }.flatMap { Self.isMeant($0) ? $0 : nil }
    }

    /// Returns whether a time is plausible: clocks that were never set show one of the excluded times.
    private static func isMeant(_ time: CapturedTime) -> Bool {
        guard time.date[0] >= 1826 else { return false }
        if time.date == [1904, 1, 1] { return false }
        if time.date == [1970, 1, 1], time.time == [0, 0, 0] { return false }
        guard let seconds = time.wallSeconds else { return true }
        var now = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &now)
        return seconds < Int64(now.tv_sec) + 2 * 86_400
    }

    /// Returns the minutes east of UTC by the GPS time, which is UTC; the fix may be minutes old.
    private func offsetBySatellite(_ time: CapturedTime) -> Int? {
        guard let satellite = first(["Composite:GPSDateTime"]).flatMap({ CapturedTime($0) })?.wallSeconds,
            let wall = time.wallSeconds
        else { return nil }
        let difference = Double(wall - satellite)
        let quarters = (difference / 900).rounded()
        let minutes = Int(quarters) * 15
        guard abs(minutes) <= 14 * 60, abs(difference - quarters * 900) <= 600 else { return nil }
        return minutes
    }
}
