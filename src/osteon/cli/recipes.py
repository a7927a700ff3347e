"""How a recipe is named on the command line."""

from __future__ import annotations

from typing import Annotated

import typer

RecipeName = Annotated[
    str,
    typer.Option(
        "--recipe",
        metavar="NAME|FILE",
        help="paper, article, osteon, boxed (for films with boxes around the findings), or a file that a training (recipe.json) or tune "
        "(best.recipe.json) wrote",
    ),
]
"""One of `lab.training.recipe.RECIPES`, or a file."""
