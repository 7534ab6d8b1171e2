/// The first lines of a Python program: `refused(call)` returns the errno, `store` writes as most programs
/// do, `text` reads the whole file.
let pythonPrelude = """
    import errno, fcntl, mmap, os, subprocess, time
    def refused(call, *arguments):
        try: call(*arguments)
        except OSError as error: return errno.errorcode[error.errno]
    def store(path, data, flags=os.O_WRONLY | os.O_CREAT | os.O_TRUNC):
        fd = os.open(path, flags, 0o644)
        try: os.write(fd, data)
        finally: os.close(fd)
    def text(path): return open(path, "rb").read()
    def say(folder, **policies):
        os.makedirs(folder, exist_ok=True)
        for key, value in policies.items(): os.setxattr(folder, "user.policy." + key, value.encode())
    def attribute(path, name): return os.getxattr(path, "user.asset." + name).decode()
    def child(action):
        pid = os.fork()
        if pid == 0:
            try: action(); os._exit(0)
            except BaseException as error: print(repr(error), flush=True); os._exit(1)
        return pid
    def wait(pid): assert os.waitpid(pid, 0)[1] == 0

    """
