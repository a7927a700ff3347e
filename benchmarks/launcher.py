"""A small process that runs a command and tells its wall time, its most memory and its exit status; `timing.finished` starts it.

Linux counts as a child's most memory (getrusage(2), `ru_maxrss`) what its parent held when it was started: a large process cannot
measure a small one, so this one stands between them. It imports next to nothing.
"""

from __future__ import annotations

import os
import sys
import time


def main() -> None:
    """Run the command that the arguments are; writes seconds, kilobytes and status to the standard output."""
    nothing = os.open(os.devnull, os.O_RDWR)
    began = time.perf_counter()
    actions = [(os.POSIX_SPAWN_DUP2, nothing, stream) for stream in range(3)]
    child = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=actions)
    _, status, usage = os.wait4(child, 0)
    seconds = time.perf_counter() - began
    sys.stdout.write(f"{seconds} {usage.ru_maxrss} {os.waitstatus_to_exitcode(status)}\n")


if __name__ == "__main__":
    main()
