"""Settings changed one at a time, each change cross-validated and set against the base."""
