"""What a dataset is like: counts, films, possible shortcuts, and problems."""
