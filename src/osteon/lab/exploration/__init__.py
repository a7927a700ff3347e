"""What a data set is like: counts, films, what goes with the label, and what is wrong with it."""
