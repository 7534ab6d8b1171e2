import ArgumentParser
import AssetModel
import Foundation

/// The command line: parses the arguments, runs one command, prints and exits.
@main
struct AssetFSCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "assetfs",
        abstract: "A filesystem that is a digital-asset manager: copying a file into the mount uploads it.",
        discussion: """
            Exit statuses: 0 done; 1 failed; 2 the library is in use; 3 it is not a library, or of an unknown format; \
            4 it cannot be read and written; 5 its disk is full; 6 the mountpoint does not exist or is no directory; \
            7 something is mounted there already; 8 /dev/fuse is missing; 9 the mount was refused; \
            10 nothing of ours is mounted there; 11 contents or the catalog are damaged; 12 waiting was given up; \
            64 the arguments are wrong.
            """,
        version: "assetfs 0.1.0",
        subcommands: [
            MountCommand.self, UmountCommand.self, InfoCommand.self, DescribeCommand.self, ExportCommand.self,
            PolicyCommand.self, ExplainCommand.self, ReceiptsCommand.self, EventsCommand.self, JobsCommand.self,
            StatusCommand.self, ScrubCommand.self, VerifyCommand.self, RecoverCommand.self,
            TrashCommand.self, RestoreCommand.self, CreateCommand.self, GroupCommand.self, SignCommand.self,
            SearchCommand.self, FetchCommand.self,
        ]
    )

    static func main() {
        StandardDescriptors.fill()
        let arguments = MountCommand.completed(RawArguments.all)
        do {
            var command = try parseAsRoot(arguments)
            try command.run()
        } catch  where exitCode(for: error) == .validationFailure {
            // Arguments may be names that other users have chosen, such as those that a shell's * stands for.
            let text = arguments.filter { Shown.name($0) != $0 }.reduce(fullMessage(for: error)) {
                $0.replacingOccurrences(of: $1, with: Shown.name(RawArguments.bytes($1)))
            }
            for line in text.components(separatedBy: "\n") {
                Output.write(STDERR_FILENO, Array((Shown.sentence(line) + "\n").utf8))
            }
            exit(withError: ExitCode.validationFailure)
        } catch {
            exit(withError: error)
        }
    }
}
