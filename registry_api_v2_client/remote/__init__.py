"""Tars that a server has: read by ranges, and never copied where the server allows that."""
