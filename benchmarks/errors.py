"""The failure of one contender, which leaves the others running."""


class ContenderError(Exception):
    """A program is missing, or failed; says why in one line."""
