"""What goes wrong with one contender, and leaves the others running."""


class ContenderError(Exception):
    """A program is missing, or failed; says why in one line."""
