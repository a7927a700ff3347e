"""Sub-command: demo."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from osteon.cli import app
from osteon.cli.progress import progress_bar, stopped

if TYPE_CHECKING:
    from osteon.lab.evaluation.evaluation import Evaluation


@app.command()
def demo(
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder of the demo; a demo that was stopped goes on there.")] = Path("demo"),
) -> None:
    """Show the whole chain on synthetic films: films, index, training, evaluation, and a report with heat maps."""
    # Before torch is imported: a thread that waits for another, which a busy machine lets wait too, sleeps and burns no core meanwhile.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    from osteon.lab.demo.run import STAGES, DemoPlan, run_demo
    from osteon.lab.reporting.folder import HTML
    from osteon.network import cores

    began = time.monotonic()
    with stopped(), progress_bar(STAGES) as watch:
        trained, packaged = run_demo(out, DemoPlan(), cores(), watch)
    counts = trained.counts
    typer.echo(f"On {counts.measured_films} synthetic films of {counts.patients} patients that the training has not seen:")
    typer.echo(f"  the trained model:   AUROC {_auroc(trained)} (95 % interval)")
    typer.echo(f"  the packaged model, which it began with: AUROC {_auroc(packaged)}")
    minutes, seconds = divmod(round(time.monotonic() - began), 60)
    typer.echo(f"{out / HTML}: open it in a browser. Total time {minutes} min {seconds} s.")


def _auroc(evaluation: Evaluation) -> str:
    from osteon.lab.evaluation.evaluation import ALL

    metric = evaluation.find("film", ALL, "auroc")
    if metric is None or metric.value is None:
        return "not measured"
    return f"{metric.value:.3f}" + (f" ({metric.low:.3f}, {metric.high:.3f})" if metric.low is not None and metric.high is not None else "")
