internal import Catalog
internal import LibraryStorage
internal import Logging
internal import Synchronization

// A command that is run for each event, one after another and in order, like other products' webhooks. It
// runs when the event is on stable storage, and delays no request.
extension AssetLibrary {
    /// How long the command may take for an event.
    private static let hookPatience = Duration.seconds(30)

    /// Begins after all earlier events: events while no command is set are not passed to any.
    func prepareEventHook() throws {
        try catalog.write { records in
            let told = try records.toldEvents()
            if eventCommand == nil, told != nil { try records.setToldEvents(nil) }
            if eventCommand != nil, told == nil { try records.setToldEvents(try records.size(of: .events)) }
        }
    }

    /// Passes the events since the last call to the command.
    func tellEvents() {
        guard let command = eventCommand else { return }
        do throws(LibraryError) {
            while !isClosing.isSet {
                let next = try read { records in try records.event(after: try records.toldEvents() ?? 0) }
                // A crash may undo an event that is not on stable storage.
                guard let next, next.end <= durableEvents.load(ordering: .relaxed) else { return }
                if let problem = ShellCommand(line: command).run(
                    next.line,
                    patience: Self.hookPatience,
                    isStopped: isClosing
                ) {
                    log.warning(
                        "on_event: \(problem); the event was \(String(decoding: next.line.dropLast(), as: UTF8.self))"
                    )
                }
                // An event that was given up because the mount ends is passed by the next mount.
                if isClosing.isSet { return }
                try write { try $0.setToldEvents(next.end) }
            }
        } catch {
            log.error("on_event: what has happened cannot be read: \(error)")
        }
    }
}
