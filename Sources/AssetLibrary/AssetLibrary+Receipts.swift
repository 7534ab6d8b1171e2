internal import AssetModel
internal import Catalog
internal import LibraryRules
internal import LibraryStorage
internal import Logging

extension AssetLibrary {
    /// Appends the receipt of a rejected upload, sets its reason on the folder, and logs it.
    func note(
        _ refusal: UploadRejection,
        at place: Place,
        by uid: UInt32,
        _ content: Content?
    ) throws(LibraryError) {
        try write { try $0.append(refusal, at: place, by: uid, content) }
        noteReceipt(of: refusal, at: place, by: uid)
    }

    /// Logs a rejected upload, whose receipt is in the catalog.
    func noteReceipt(of refusal: UploadRejection, at place: Place, by uid: UInt32) {
        // This is the last reason now, and replaces the error of an earlier attribute.
        refusedAttributes.forget(place.parent, of: uid)
        diagnosis.count(.refused)
        log.notice("Refused \(place.journalPath): \(refusal.sentence)", metadata: ["uid": "\(uid)"])
    }
}
