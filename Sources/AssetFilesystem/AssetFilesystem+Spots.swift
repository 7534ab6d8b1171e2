internal import AssetLibrary
internal import AssetModel
internal import Catalog
internal import FUSE
internal import LibraryStorage
internal import SystemPackage

// Resolves a name in a directory for operations that make, move or remove it: in `resources/ID/`, to a name
// in the file's folder.
extension AssetFilesystem {
    /// A name in a folder to which an operation applies.
    struct Spot {
        let folder: NodeID
        let name: EntryName
        /// Whether the kernel knows the name by a view only, so that its cached entry in the folder has to be
        /// invalidated.
        var isAlias = false
        /// The asset whose file the new file replaces, although its name is another one.
        var replaced: AssetLibrary.Resource?
        /// Whether a file that gets the name replaces an asset's file in `resources/ID/`.
        var isReplacement = false
        /// The requested name, where the new file gets the former name of the asset's file instead.
        var requested: EntryName?
        /// Whether the name must be free: the program cannot see a file of that name here.
        var mustBeFree = false
    }

    /// Returns the folder and name that a name in a directory stands for.
    ///
    /// `makes` says that the operation creates the name, and `moved` is the former name, where rename(2)
    /// gives it.
    func spot(
        _ parent: InodeNumber,
        _ name: Name,
        makes: Bool,
        moving moved: Spot? = nil,
        for caller: Caller
    ) throws(OperationFailure) -> Spot {
        let name = try entryName(name)
        let parent = node(parent)
        switch View(parent) {
        case nil: return Spot(folder: parent, name: name)
        case .resource(let id):
            guard !Self.isOwn(name) else { throw OperationFailure(LibraryError.readOnly) }
            let resource = try resource(id, for: caller)
            let folder = resource.folder.id
            try refuseUnlessMayChange(folder, for: caller)
            if makes { try refuseFilling(folder, for: caller) }
            let isFinal = try isFinal(name, folder)
            // The file itself gets another name in its folder.
            if let moved, moved.folder == folder, moved.name == resource.name, name != moved.name, isFinal {
                return Spot(folder: folder, name: name, isAlias: true, mustBeFree: true)
            }
            if makes, isFinal { try refuseReplacing(resource, for: caller) }
            guard let own = resource.name, own != name, isFinal else {
                return Spot(folder: folder, name: name, isAlias: true, isReplacement: resource.name == name)
            }
            guard makes else { throw OperationFailure(LibraryError.notFound) }
            guard resource.node != nil else {
                return Spot(folder: folder, name: own, isAlias: true, isReplacement: true, requested: name)
            }
            // The file was put aside within the window, and a file that takes its name is the next version.
            if library.isVacated(name, in: folder, by: id, forMoved: moved != nil) {
                return Spot(folder: folder, name: name, isAlias: true, isReplacement: true, mustBeFree: true)
            }
            try refuseInSticky(resource, "a file is its owner's to replace", for: caller)
            return Spot(folder: folder, name: own, isAlias: true, replaced: resource, isReplacement: true)
        case .alternatives(let id):
            let resource = try resource(id, for: caller)
            try refuseUnlessMayChange(resource.folder.id, for: caller)
            if makes { try refuseInSticky(resource, "alternatives of a file are its owner's to add", for: caller) }
            guard let folder = try alternatives(of: id, makes: makes) else {
                throw OperationFailure(LibraryError.notFound)
            }
            return Spot(folder: folder, name: name)
        default: throw OperationFailure(LibraryError.readOnly)
        }
    }

    /// Refuses a change to a folder by a view of it: the folder's access list may give the caller less than
    /// the view's mode.
    private func refuseUnlessMayChange(_ folder: NodeID, for caller: Caller) throws(OperationFailure) {
        let mayChange = try refusing { () throws(LibraryError) in
            try library.mayChange(folder, by: uploader(caller))
        }
        guard mayChange else { throw OperationFailure(.permissionDenied) }
    }

    /// Refuses a change to an asset of another user whose file is in a sticky folder.
    ///
    /// > A sticky directory: a file in it can be removed or renamed by its owner, the directory's, and root —
    /// > unlink(2), EPERM
    private func refuseInSticky(
        _ resource: AssetLibrary.Resource,
        _ rule: String,
        for caller: Caller
    ) throws(OperationFailure) {
        let owners = [0, resource.folder.uid, resource.node?.uid ?? 0]
        guard resource.folder.mode & 0o1000 == 0 || owners.contains(caller.uid) else {
            throw OperationFailure(LibraryError.notPermitted("In a sticky folder \(rule)."))
        }
    }

    /// Refuses a new file for an asset whose present file the caller could not write: the number alone gives
    /// no access to another user's asset.
    private func refuseReplacing(_ resource: AssetLibrary.Resource, for caller: Caller) throws(OperationFailure) {
        let mayReplace = try refusing { () throws(LibraryError) in
            try library.mayReplace(resource, by: uploader(caller))
        }
        guard mayReplace else { throw OperationFailure(.permissionDenied) }
    }

    /// Returns the passing name in `resources/ID/` of a new file that gets another name in the end; nil where
    /// the name stays.
    func passing(_ name: Name, in parent: InodeNumber, _ spot: Spot) -> Passing? {
        guard spot.replaced != nil || spot.requested != nil, let name = try? entryName(name) else { return nil }
        return Passing(view: node(parent), name: name, other: spot.requested == nil ? nil : spot.name)
    }

    /// Notifies a view's watchers that a passing name is gone.
    func tell(_ passing: Passing?) {
        guard let passing else { return }
        library.tell(.shown(passing.name, in: passing.view, isThere: false))
        if let other = passing.other { library.tell(.shown(other, in: passing.view, isThere: true)) }
    }
}
