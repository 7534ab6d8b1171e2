internal import Catalog
internal import Logging
internal import Synchronization

// A program that is told of each event, one after another and in their order: what products send to a webhook. It runs when the event is
// on stable storage, and holds nobody up.
extension AssetLibrary {
    /// How long the program may take for an event.
    private static let hookPatience = Duration.seconds(30)

    /// Begins behind what has happened before: what happens while no program is named is nobody's to be told.
    func prepareEventHook() throws {
        try catalog.write { records in
            let told = try records.toldEvents()
            if eventCommand == nil, told != nil { try records.setToldEvents(nil) }
            if eventCommand != nil, told == nil { try records.setToldEvents(try records.size(of: .events)) }
        }
    }

    /// Tells the program of what has happened since.
    func tellEvents() {
        guard let command = eventCommand else { return }
        do throws(LibraryError) {
            while !isClosing.isSet {
                let next = try read { records in try records.event(after: try records.toldEvents() ?? 0) }
                // What is not on stable storage may be taken back by a crash.
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
                // What is given up because the mount ends is told by the next one.
                if isClosing.isSet { return }
                try write { try $0.setToldEvents(next.end) }
            }
        } catch {
            log.error("on_event: what has happened cannot be read: \(error)")
        }
    }
}
