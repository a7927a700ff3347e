"""An evaluation's tables as files for a paper: CSV, and LaTeX (booktabs)."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from osteon.atomic import whole
from osteon.lab.evaluation import tables
from osteon.lab.evaluation.evaluation import Evaluation
from osteon.lab.evaluation.tables import Rows

FOLDER = "tables"
MAKERS = {
    "metrics": tables.all_metrics,
    "answers": tables.answers,
    "predictive-values": tables.predictive_values,
    "shortcuts": tables.shortcuts,
    "study-types": tables.by_study_type,
    "subgroups": tables.by_subgroup,
    "localisation": tables.localisation,
    "mura": tables.beside_paper,
}
"""Each file's name, without its suffix, and its table."""

_SPECIAL = {character: f"\\{character}" for character in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": "$<$",
    ">": "$>$",
}


def write_tables(evaluation: Evaluation, out: Path) -> None:
    """Write every table that has a row, into the folder `tables` of an evaluation's; a table of before that has none now goes."""
    (out / FOLDER).mkdir(parents=True, exist_ok=True)
    for name, make in MAKERS.items():
        table = make(evaluation)
        for suffix, write in ((".csv", _csv), (".tex", latex)):
            file = out / FOLDER / f"{name}{suffix}"
            if not table.rows:
                file.unlink(missing_ok=True)
                continue
            with whole(file) as part:
                part.write_text(write(table), encoding="utf-8")


def latex(table: Rows) -> str:
    r"""Return a table as LaTeX: a `table` with its title as caption, for the package booktabs.

    >>> print(latex(Rows("Films & more", ("", "n"), [("hand_1", "5 %")])))
    \begin{table}
    \caption{Films \& more}
    \begin{tabular}{lr}
    \toprule
     & n \\
    \midrule
    hand\_1 & 5 \% \\
    \bottomrule
    \end{tabular}
    \end{table}
    <BLANKLINE>
    """
    rows = [" & ".join("".join(_SPECIAL.get(c, c) for c in cell) for cell in row) + r" \\" for row in (table.header, *table.rows)]
    caption = "".join(_SPECIAL.get(c, c) for c in f"{table.title}{f'. {table.note}' if table.note else ''}")
    head = [r"\begin{table}", rf"\caption{{{caption}}}", rf"\begin{{tabular}}{{l{'r' * (len(table.header) - 1)}}}", r"\toprule"]
    return "\n".join([*head, rows[0], r"\midrule", *rows[1:], r"\bottomrule", r"\end{tabular}", r"\end{table}", ""])


def _csv(table: Rows) -> str:
    lines = io.StringIO()
    csv.writer(lines, lineterminator="\n").writerows([table.header, *table.rows])
    return lines.getvalue()
