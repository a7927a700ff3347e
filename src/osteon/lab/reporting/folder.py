"""A run -> the folder of its report: report.html, report.md, figures/, failures.csv, and what had to be made for them."""

from __future__ import annotations

from pathlib import Path

from osteon.errors import UsageError
from osteon.lab.evaluation.verdict import verdict
from osteon.lab.pages import write_whole
from osteon.lab.progress import Progress, Watch
from osteon.lab.reporting.beside import beside_sections
from osteon.lab.reporting.claim import claim_section
from osteon.lab.reporting.data_card import data_section
from osteon.lab.reporting.document import Report, Text
from osteon.lab.reporting.failures import failure_section
from osteon.lab.reporting.found import found_section
from osteon.lab.reporting.front import answers, front_pictures, headline
from osteon.lab.reporting.learning import network_section, training_section
from osteon.lab.reporting.markdown import markdown
from osteon.lab.reporting.material import Material, read_material, warnings
from osteon.lab.reporting.model_card import card_section
from osteon.lab.reporting.outcome import evaluation_section, subgroup_section
from osteon.lab.reporting.page import html
from osteon.lab.reporting.reliability import calibration_section
from osteon.lab.reporting.supply import WRITE, Request, supply_evaluation, supply_model
from osteon.lab.training.run import RunFolder
from osteon.version import __version__

HTML, MARKDOWN, FIGURES = "report.html", "report.md", "figures"


def report_run(request: Request, watch: Watch = lambda _: None) -> Report:
    """Write the report of a run.

    What it needs and was not given (a model file, an evaluation of the reported split) is made and kept in the folder, so that a second
    report is quick; stopped, the same request goes on.

    Args:
        request: What is asked for.
        watch: Told of each of `supply.STAGES`.

    Raises:
        UsageError: no run, no epoch ended yet, a model or an evaluation of something else, or the folder cannot be written.
        MeasurementError: the split is not there, or nothing in it can be measured.
        ModelFileError: the model cannot be opened.
    """
    run = RunFolder(request.run)
    record = run.record()
    figures = request.out / FIGURES
    try:
        figures.mkdir(parents=True, exist_ok=True)
        model = supply_model(request, run, watch)
        measured = supply_evaluation(request, record, model, watch)
        watch(Progress(WRITE))
        report = _report(read_material(request, run, model, measured), figures)
        write_whole(request.out / HTML, html(report))
        write_whole(request.out / MARKDOWN, markdown(report, request.out))
    except OSError as fault:
        raise UsageError(
            f"{request.out}: the report cannot be written ({fault.strerror}). Make room, or name another folder with -o."
        ) from fault
    watch(Progress(WRITE, 1))
    return report


def _report(m: Material, figures: Path) -> Report:
    sections = (
        data_section(m),
        training_section(m, figures),
        network_section(m, figures),
        evaluation_section(m, figures),
        *beside_sections(m, figures),
        calibration_section(m, figures),
        subgroup_section(m),
        found_section(m, figures),
        failure_section(m, figures),
        card_section(m),
        claim_section(m),
    )
    return Report(
        title=f"{m.card.reference}: report of {m.request.run.resolve().name}",
        verdict=Text(verdict(m.measured.evaluation), m.origins.evaluation),
        answers=answers(m),
        warnings=[Text(words, origin, warns=True) for words, origin in warnings(m)],
        headline=headline(m),
        pictures=list(front_pictures(sections)),
        measured=m.origins.evaluation,
        sections=sections,
        origins=m.origins.all(),
        osteon=__version__,
        folder=m.request.out,
    )
