"""What `osteon.lab` gives: dataset folder -> index -> run -> model file -> evaluation -> report, a function a stage.

Each takes paths, or what an earlier one returned, or an index as a polars table; writes what it makes, returns it, and prints nothing.
"""
