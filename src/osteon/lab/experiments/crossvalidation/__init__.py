"""Cross-validation: each film scored by a model that has not learned from it, and what that says of a recipe."""
