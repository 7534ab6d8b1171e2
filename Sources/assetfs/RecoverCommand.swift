import ArgumentParser
import AssetLibrary
import AssetModel
import Foundation
internal import LibraryStorage
internal import LibraryVerification
import SystemPackage

struct RecoverCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "recover",
        abstract: "Makes a new catalog for a library whose catalog is damaged or missing.",
        discussion: """
            The new catalog is made from the newest sound snapshot in snapshots/ and the contents in blobs/. Contents that came after the \
            snapshot get names in folders/lost+found/; their former names, and what was written about files since, are gone. The damaged \
            catalog is kept as catalog.damaged.sqlite, and blobs/ is not changed. Ends with status 11 where files are missing.
            """
    )

    @Argument(help: "The library's folder.")
    var library: FilePath
    @OptionGroup var names: NameOptions

    func run() throws {
        let closed = try LibraryPlace(existing: library).open()
        var result: RecoveryReport?
        var failure: RepairFailure?
        do throws(RepairFailure) { result = try closed.recover() } catch { failure = error }
        guard let report = result else { throw ExitStatus.failed.because(Sentence(failure?.description ?? "")) }
        if let snapshot = report.snapshot {
            Output.note(
                "The catalog is that of snapshots/\(snapshot): names, fields and former contents that came later are gone, and what was removed later is there again."
            )
        } else {
            Output.note(
                "There is no snapshot that can be read: all names, folders, fields, rights and former contents are gone, and each content is a file in folders/lost+found/."
            )
        }
        for sentence in report.unreadSnapshots { Output.note("A snapshot was passed over: \(sentence)") }
        for name in report.damagedSnapshots {
            Output.note("snapshots/\(name) is damaged, and is kept as snapshots/\(name).damaged.")
        }
        if let former = report.former { Output.note("The former catalog is kept as \(library)/\(former).") }
        if report.torn > 0 {
            Output.note(
                "\(report.torn.counted("file in blobs/ is not whole, and was", "files in blobs/ are not whole, and were")) left alone."
            )
        }
        for name in report.found { names.print(names.text(name)) }
        if !report.found.isEmpty {
            Output.note(
                "\(report.found.count.counted("content has a name", "contents have names")) in folders/lost+found/."
            )
        }
        try VerifyCommand.print(String(decoding: report.check.bytesOfJSON, as: UTF8.self), json: false, names)
    }
}
