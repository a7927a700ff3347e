"""`docs/how-to/mlflow.md`: its code, run as it stands there with MLflow itself, on a training of a second."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from drawn_tree import ROOT
from made_index import made_index
from tiny_training import SETTINGS

PAGE = ROOT / "docs/how-to/mlflow.md"
LOOK = """
import json, mlflow
mlflow.set_tracking_uri("sqlite:///mlflow.db")
[run] = mlflow.search_runs(experiment_names=["osteon"], output_format="list")
client = mlflow.MlflowClient()
steps = {name: [metric.step for metric in client.get_metric_history(run.info.run_id, name)] for name in run.data.metrics}
files = [file.path for file in client.list_artifacts(run.info.run_id)]
print(json.dumps([run.info.status, run.data.params, steps, files]))
"""


def test_mlflow_hears_of_a_training_and_keeps_its_model(tmp_path: Path) -> None:
    [code] = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    settings = dict(setting.split("=") for setting in (*SETTINGS, "batch=1"))
    quick, changed = re.subn(r"(?m)^settings = .*$", f"settings = {settings}", code)
    assert changed == 1
    made_index(tmp_path)
    in_python(quick, tmp_path)
    status, params, steps, files = json.loads(in_python(LOOK, tmp_path).splitlines()[-1])
    assert (status, params, files) == ("FINISHED", settings, ["model.onnx"])
    assert steps["loss"] == [10, 26] and steps["select_auroc"] == steps["select_loss"] == [0, 1] and steps["auroc"] == [0]


def in_python(code: str, folder: Path) -> str:
    """What a fresh Python prints that runs a piece of code in a folder."""
    answer = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False, timeout=240)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout
