"""A PACS takes the results into the study of their film, by C-STORE and by STOW-RS."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import orthanc_peer
from made_results import answer, film_file, written

pytestmark = [
    pytest.mark.namespace,
    pytest.mark.skipif(bool(orthanc_peer.MISSING), reason=f"not installed: apt-get install {' '.join(orthanc_peer.MISSING)}"),
    pytest.mark.filterwarnings("ignore"),
]


def test_a_pacs_takes_reports_and_pictures_into_the_study_of_their_film(tmp_path: Path) -> None:
    film = film_file(tmp_path / "film.dcm")
    assert written(tmp_path / "out", answer(film)).captures == 1
    words = [sys.executable, orthanc_peer.__file__, str(tmp_path), str(film), "--", *map(str, sorted((tmp_path / "out").iterdir()))]
    told = subprocess.run(orthanc_peer.namespace(*words), stdout=subprocess.PIPE, check=True, timeout=120).stdout
    [study] = json.loads(told)
    assert study["MainDicomTags"]["StudyInstanceUID"] == "1.2.3"
    assert study["PatientMainDicomTags"]["PatientID"] == "4711"
    assert len(study["Series"]) == 3
    assert sorted(Path(one["MainDicomTags"]["SOPInstanceUID"]).name[:5] for one in study["Held"]) == ["1.2.3", "2.25.", "2.25."]
