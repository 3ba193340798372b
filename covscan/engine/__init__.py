"""Runs the measurement over a series and turns summaries into the report's records as it goes."""
