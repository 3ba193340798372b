"""A report to walk through with the keyboard, in a terminal; it needs the extra ``browse``."""
