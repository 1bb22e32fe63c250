"""Image tars to push, the same bytes on every machine."""
