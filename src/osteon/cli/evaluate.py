"""Sub-commands: evaluate."""

from __future__ import annotations
