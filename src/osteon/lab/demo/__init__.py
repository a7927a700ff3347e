"""The whole chain on synthetic films."""
