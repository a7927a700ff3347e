"""Dataset folder -> index, splits, prepared films."""
