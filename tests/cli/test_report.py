"""The command, from a real training to the page."""

from __future__ import annotations

from pathlib import Path

from made_index import made_index
from made_run import made_run
from tiny_training import one_thread, osteon, settings


def test_a_training_is_reported(tmp_path: Path) -> None:
    index, run = made_index(tmp_path, {"train": 12, "tune": 12, "valid": 36}), tmp_path / "run"
    with one_thread():
        trained = osteon("train", index, "-o", run, *settings("epochs=1"))
        assert trained.status == 0, trained.error
        answer = osteon("report", run)
    assert answer.status == 0, answer.error
    assert "report.html: open it in a browser" in answer.out
    out = run / "report"
    assert {file.name for file in out.iterdir()} >= {"report.html", "report.md", "figures", "model.onnx", "evaluation", "failures.csv"}
    page = (out / "report.html").read_text(encoding="utf-8")
    assert f"osteon train {index} --recipe osteon --set" in page
    assert f"osteon report {run}" in page
    assert "This training has not ended" not in page


def test_refusals_are_one_line(tmp_path: Path) -> None:
    made = made_run(tmp_path, passes=0)
    for words, status in (([tmp_path / "films"], 64), ([made.run], 64), ([made.run, "--model", made.index], 65)):
        answer = osteon("report", *words)
        assert answer.status == status
        assert answer.error.strip().count("\n") == 0
        assert answer.error.strip().startswith("osteon: ")
