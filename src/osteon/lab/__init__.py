"""The lab: from a dataset folder to a model file and its report. Needs the extra `[lab]`."""
