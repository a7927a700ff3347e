"""PACS -> worklist -> PACS: what a hospital receives of osteon. Extra `[serve]`."""

PACKAGES = ("highdicom",)
"""What the extra installs, by the names that are imported."""
