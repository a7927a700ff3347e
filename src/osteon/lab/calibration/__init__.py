"""Logits -> probabilities and the limits of the levels."""
