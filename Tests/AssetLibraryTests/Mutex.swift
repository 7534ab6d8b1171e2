#if ASSETFS_PTHREAD_MUTEX
// ThreadSanitizer sees no lock of Synchronization's: Tests/Sanitizers/PthreadMutex.
import PthreadMutex

typealias Mutex = PthreadMutex.Mutex
#endif
