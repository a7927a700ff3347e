"""The outer edge: one line and a status whatever happens, from a closed standard output to a fault in osteon itself."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from made_model import make_model
from osteon.version import __version__

OSTEON = (sys.executable, "-m", "osteon")
FAULTY = """
import sys, osteon.cli
from osteon.__main__ import main
def faulty():
    raise {fault}
osteon.cli.main = faulty
sys.argv = ["osteon", "predict", *sys.argv[1:]]
main()
"""


def shell(line: str, **environment: str) -> tuple[int, str, str]:
    command = line.replace("osteon", f"{sys.executable} -m osteon")
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, env=os.environ | environment)
    return done.returncode, done.stdout, done.stderr


def faulty(fault: str, *words: str, **environment: str) -> tuple[int, str]:
    code = [sys.executable, "-c", FAULTY.format(fault=fault), *words]
    done = subprocess.run(code, capture_output=True, text=True, check=False, env=os.environ | environment)
    assert done.stdout in ("", "\n")
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    "fault", ["ValueError('DOE^JANE')", "RecursionError('DOE^JANE')", "SystemError('DOE^JANE')", "BaseException('DOE^JANE')"]
)
def test_a_fault_becomes_a_line_that_names_no_patient(fault: str) -> None:
    status, told = faulty(fault)
    assert status == 70
    assert told.count("\n") == 1 and told.startswith(f"osteon: a fault in osteon itself, {fault.partition('(')[0]}")
    assert "__main__.py, line" in told and "--debug" in told and "DOE" not in told


@pytest.mark.parametrize(("words", "environment"), [(("--debug",), {}), ((), {"OSTEON_DEBUG": "1"})])
def test_debug_shows_all_of_it(words: tuple[str, ...], environment: dict[str, str]) -> None:
    status, told = faulty("ValueError('all of it')", *words, **environment)
    assert status == 70 and "Traceback" in told and "ValueError: all of it" in told


def test_a_fault_of_the_system_says_why_and_no_name() -> None:
    status, told = faulty("OSError(28, 'No space left on device', 'DOE^JANE.png')")
    assert status == 74 and "cannot be read or written (No space left on device)" in told and "DOE" not in told


def test_ctrl_c_ends_quietly() -> None:
    assert faulty("KeyboardInterrupt") == (130, "")


def test_ctrl_c_while_importing_ends_quietly(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("import time; print('importing', flush=True); time.sleep(60)")
    began = time.monotonic()
    with subprocess.Popen(
        [*OSTEON, "card"], env=os.environ | {"PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout is not None and process.stdout.readline() == "importing\n"
        process.send_signal(signal.SIGINT)
        _, told = process.communicate()
    assert (process.returncode, told) == (-signal.SIGINT, "")
    assert time.monotonic() - began < 30


def test_a_standard_output_that_is_full_or_closed_is_told() -> None:
    for line in ("osteon --version >/dev/full", "osteon --version >&-"):
        status, _, told = shell(line)
        assert status == 74 and told.startswith("osteon: the standard output cannot be written (") and told.count("\n") == 1
    assert shell("osteon --version >&- 2>&-") == (74, "", "")


def test_a_reader_that_leaves_is_no_fault() -> None:
    assert shell("osteon --help | head -1 | wc -l")[1:] == ("1\n", "")


def test_an_ascii_terminal_shows_escapes(tmp_path: Path) -> None:
    status, _, told = shell(f"osteon card {tmp_path}/né.onnx", PYTHONIOENCODING="ascii:strict")
    assert status == 65 and "n\\xe9.onnx: there is no such model file" in told
    assert shell("osteon --help", LC_ALL="C", PYTHONIOENCODING="ascii")[0] == 0


def test_json_is_utf_8_whatever_the_terminal_has(tmp_path: Path) -> None:
    Image.effect_noise((64, 64), 50).save(tmp_path / "né.png")
    model = make_model(tmp_path / "m.onnx")
    status, told, _ = shell(f"osteon predict --model {model} {tmp_path}/né.png --json -", PYTHONIOENCODING="ascii")
    assert status == 0 and json.loads(told)["studies"][0]["study"] == f"{tmp_path}/né.png"


def test_python_m_osteon() -> None:
    assert shell("osteon --version") == (0, f"osteon {__version__}\n", "")
