"""What a training begins from: weights, a model file, other trainings."""
