#if ASSETFS_PTHREAD_MUTEX
// ThreadSanitizer does not see the locks of Synchronization: Tests/Sanitizers/PthreadMutex.
public import LibraryStorage
internal import PthreadMutex

typealias Mutex = PthreadMutex.Mutex
#endif
