"""Sub-commands: train."""

from __future__ import annotations
