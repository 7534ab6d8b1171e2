#if ASSETFS_PTHREAD_MUTEX
// ThreadSanitizer does not understand the locks of Synchronization: see Tests/Sanitizers/PthreadMutex.
import PthreadMutex

typealias Mutex = PthreadMutex.Mutex
#endif
