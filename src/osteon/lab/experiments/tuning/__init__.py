"""Search a recipe's settings by short trainings that never look at the reported split."""
