"""Start one program, wait for it, write down what it took. Runs as a process of its own.

Linux hands the memory high-water mark of a process on to the programs it starts, so the harness
itself cannot measure a program smaller than it is. This file imports next to nothing and is run
with ``python -I -S``, which puts that floor at about 10 MiB.

Usage: ``launch.py RESULT OUTPUT LOG TIMEOUT PROGRAM [ARGUMENT ...]``
"""

import os
import signal
import sys
import time


def main() -> None:
    result, output, log, timeout, *command = sys.argv[1:]
    write = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    files = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, output, write, 0o600),
        (os.POSIX_SPAWN_OPEN, 2, log, write, 0o600),
    ]
    begun = time.perf_counter()
    child = os.posix_spawnp(command[0], command, os.environ, file_actions=files)
    signal.signal(signal.SIGALRM, lambda *_: os.kill(child, signal.SIGKILL))
    signal.alarm(int(timeout))
    _, status, usage = os.wait4(child, 0)
    seconds = time.perf_counter() - begun
    cpu = usage.ru_utime + usage.ru_stime
    with open(result, "w") as file:
        file.write(f"{os.waitstatus_to_exitcode(status)} {seconds} {cpu} {usage.ru_maxrss * 1024}")


if __name__ == "__main__":
    main()
