"""Scores -> metrics with intervals, per study type and subgroup."""
