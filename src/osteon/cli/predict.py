"""Sub-commands: predict."""

from __future__ import annotations
