"""Servers that last as long as a run."""
