"""The version of this osteon, alone in a file: what needs it imports nothing else."""

__version__ = "0.1.0"
