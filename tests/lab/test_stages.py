"""Locks and stages, where no test of the rooms that use them says more."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from osteon.lab.stages import hold


def test_a_lock_goes_with_its_process(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from osteon.lab.stages import hold\n"
        "lock = hold(Path(sys.argv[1])); print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "lock")], stdout=subprocess.PIPE) as holder:
        assert holder.stdout and holder.stdout.readline() == b"held\n"
        assert hold(tmp_path / "lock", wait=False) is None
        holder.kill()
    lock = hold(tmp_path / "lock", wait=False)
    assert lock is not None
    lock.lock.release()
