internal import LibraryStorage
public import SystemPackage

extension AssetLibrary {
    /// The descriptor of the library's folder, open as long as the library is.
    public var folder: FileDescriptor { FileDescriptor(rawValue: storage.directory.folder) }
}
