"""The outer edge of the command: whatever nothing else has caught becomes one line. Also `python -m osteon`, which torchrun needs."""

from __future__ import annotations

import os
import sys

BROKEN, OUTPUT, INTERRUPTED = 70, 74, 130
"""Exit statuses: a fault of osteon itself and an output that cannot be written (`sysexits.h`), and Ctrl-C as a shell has it."""


def main() -> None:
    """Run the command line; a fault that is no `OsteonError` becomes a line without its text, which may hold a patient's data."""
    debug = "--debug" in sys.argv or os.environ.get("OSTEON_DEBUG", "0") not in ("", "0")
    sys.argv = [word for word in sys.argv if word != "--debug"]
    _prepare_streams()
    try:
        status = _run()
    except KeyboardInterrupt:
        status = INTERRUPTED
    except BaseException as fault:  # polars' panics are no Exception
        status = (_unwritten(b"\n") if isinstance(fault, OSError) else 0) or BROKEN
        if debug:
            sys.excepthook(type(fault), fault, fault.__traceback__)
        elif isinstance(fault, OSError) and fault.filename is not None and status == BROKEN:
            status = OUTPUT
            _tell(
                f"a file or a folder cannot be read or written ({fault.strerror}). Look at the names that were given; --debug shows which."
            )
        elif status == BROKEN:
            _tell(f"a fault in osteon itself, {_place(fault)}. The same command with --debug shows all of it; please report it.")
    sys.exit(_unwritten() or status)


def _run() -> int:
    import signal  # here, where Ctrl-C is caught

    handler = signal.getsignal(signal.SIGINT)
    if handler is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # while it imports: ends at once, and no package makes another error of it
    from osteon.cli import main as run

    signal.signal(signal.SIGINT, handler)
    try:
        run()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def _prepare_streams() -> None:
    """Give closed streams something to write to, the standard output what refuses it; an ASCII terminal shows escapes."""
    for number, name, how in ((0, "stdin", os.O_RDONLY), (1, "stdout", os.O_RDONLY), (2, "stderr", os.O_WRONLY)):
        if getattr(sys, name) is None:
            os.dup2(os.open(os.devnull, how), number)  # no file that is opened later gets its place
            setattr(sys, name, os.fdopen(number, "w" if number else "r"))
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _unwritten(trial: bytes = b"") -> int:
    """Return `OUTPUT`, and say why, where the standard output does not take what is written; 0 where it does, or its reader has left."""
    try:
        sys.stdout.flush()
        if trial:
            os.write(1, trial)
    except BrokenPipeError:
        _give_up_output()
    except OSError as fault:
        _give_up_output()
        _tell(f"the standard output cannot be written ({fault.strerror}). Write to a file, or make room.")
        return OUTPUT
    return 0


def _give_up_output() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or the interpreter complains once more when it ends


def _tell(words: str) -> None:
    try:
        sys.stderr.write(f"osteon: {words}\n")
    except OSError:
        return  # nobody can be told


def _place(fault: BaseException) -> str:
    """Return what kind of fault it is and where in osteon it came from, without its text."""
    from pathlib import Path

    place, at = "", fault.__traceback__
    while at is not None:
        parts = Path(at.tb_frame.f_code.co_filename).parts
        if "osteon" in parts:
            place = f" at {'/'.join(parts[-2:])}, line {at.tb_lineno}"
        at = at.tb_next
    why = f" ({os.strerror(fault.errno)})" if isinstance(fault, OSError) and fault.errno else ""
    return f"{type(fault).__name__}{why}{place}"


if __name__ == "__main__":
    main()
