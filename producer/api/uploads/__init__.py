"""Uploads of tars to the spool."""
