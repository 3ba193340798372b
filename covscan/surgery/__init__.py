"""Putting normalizations into models: one place for trials, for ``insert`` and for the code to paste."""
