"""The guard at the door: how unlike the films that a model learned from is a film, fitted, put into the model file, and measured."""
