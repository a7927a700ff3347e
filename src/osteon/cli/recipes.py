"""How a recipe is named on the command line."""

from __future__ import annotations

from typing import Annotated

import typer

RecipeName = Annotated[str, typer.Option("--recipe", help="paper, article, osteon, or boxed (for films with boxes around the findings)")]
"""One of `lab.training.recipe.RECIPES`."""
