"""Whether the numbers in a model's card are those that its data give."""
