import AssetModel
import Foundation
import SystemPackage

extension Held {
    /// Returns the name of a file's sidecar in this folder: NAME.xmp.
    ///
    /// Where that is longer than the folder allows, it is the beginning of the name, `~`, 16 hexadecimal
    /// digits that depend on the whole name, and .xmp: each name has its own, and the next export finds it
    /// again.
    func sidecar(of name: [UInt8]) -> [UInt8] {
        let limit = unsafe pathconf(link, Int32(_PC_NAME_MAX))
        let most = limit > 0 ? limit : 255
        guard name.count + 4 > most, let whole = try? EntryName(name) else { return name + Array(".xmp".utf8) }
        let digits = String(whole.listingPlace, radix: 16)
        let end = Array("~\(String(repeating: "0", count: 16 - digits.count))\(digits).xmp".utf8)
        var stem = Array(name.prefix(max(0, most - end.count)))
        // A character is not cut in two: all bytes behind its first begin with the bits 10.
        if String(validating: name, as: UTF8.self) != nil {
            var count = stem.count
            while count > 0, count < name.count, name[count] & 0xC0 == 0x80 { count -= 1 }
            stem = Array(name.prefix(count))
        }
        return stem + end
    }
}
