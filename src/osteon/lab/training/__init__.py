"""Networks, recipes, the training loop and the export to a model file. Torch is imported only here."""
