"""The packaged model files."""
