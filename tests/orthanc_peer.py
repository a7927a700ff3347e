"""A real Orthanc, in a network namespace of its own: version 1.10 listens on all interfaces, and no setting changes that.

    python orthanc_peer.py FOLDER FILM... -- RESULT...

Run by `namespace`. It stores the films, sends the results of kind `report` by C-STORE and the others by STOW-RS, and prints as JSON what
Orthanc then has.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HTTP, DICOM = 18042, 14242
BASE = f"http://127.0.0.1:{HTTP}"
PLUGINS = [str(file) for file in Path("/usr/share/orthanc/plugins").glob("libOrthanc*.so")]
NEEDED = {"Orthanc": "orthanc orthanc-dicomweb", "storescu": "dcmtk", "unshare": "util-linux", "ip": "iproute2"}
MISSING = [package for program, package in NEEDED.items() if shutil.which(program) is None]


def namespace(*words: str) -> list[str]:
    """Return a command that runs words where nothing but its own loopback can be reached."""
    flags = "-n" if os.geteuid() == 0 else "-rn"
    return ["unshare", flags, "sh", "-c", 'ip link set lo up; exec "$@"', "sh", *words]


def has_namespaces() -> bool:
    """Return whether this system lets such a namespace be made: a container may forbid it."""
    tried = namespace("true")
    return shutil.which(tried[0]) is not None and subprocess.run(tried, capture_output=True, check=False).returncode == 0


@contextlib.contextmanager
def orthanc(folder: Path) -> Iterator[None]:
    """Run Orthanc with its data in a folder."""
    settings = {
        "Name": "PEER", "StorageDirectory": str(folder / "db"), "IndexDirectory": str(folder / "db"), "HttpPort": HTTP, "DicomPort": DICOM,
        "RemoteAccessAllowed": False, "AuthenticationEnabled": False, "DicomAet": "PACS", "DicomCheckCalledAet": True,
        "Plugins": PLUGINS, "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }  # fmt: skip
    (folder / "orthanc.json").write_text(json.dumps(settings))
    with (
        (folder / "orthanc.log").open("w") as log,
        subprocess.Popen(["Orthanc", str(folder / "orthanc.json")], stdout=log, stderr=log) as peer,
    ):
        try:
            for _ in range(300):
                with contextlib.suppress(OSError, urllib.error.URLError):
                    asked("/system")
                    break
                time.sleep(0.1)
            yield
        finally:
            peer.terminate()


def asked(path: str, body: bytes | None = None, kind: str = "application/dicom") -> Any:
    """Return what Orthanc answers."""
    with urllib.request.urlopen(urllib.request.Request(BASE + path, body, {"Content-Type": kind, "Accept": "application/json"})) as answer:
        return json.load(answer)


def stow(file: Path) -> Any:
    """Store a file by STOW-RS (PS3.18 10.5)."""
    edge = "osteon-part"
    body = f"--{edge}\r\nContent-Type: application/dicom\r\n\r\n".encode() + file.read_bytes() + f"\r\n--{edge}--\r\n".encode()
    return asked("/dicom-web/studies", body, f'multipart/related; type="application/dicom"; boundary={edge}')


def main(words: list[str]) -> None:
    """Do what the module says."""
    folder, films, results = Path(words[0]), words[1 : words.index("--")], words[words.index("--") + 1 :]
    with orthanc(folder):
        for film in films:
            asked("/instances", Path(film).read_bytes())
        for result in map(Path, results):
            if result.name.startswith("report"):
                subprocess.run(["storescu", "-R", "-aec", "PACS", "127.0.0.1", str(DICOM), str(result)], check=True)
            else:
                stow(result)
        found = [asked(f"/studies/{study}") | {"Held": asked(f"/studies/{study}/instances")} for study in asked("/studies")]
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1:])
