"""How errors call the parameters that they advise to change.

By their own names, unless the caller has others for them, such as settings of a program.
"""

from collections.abc import Callable

NameOf = Callable[[str], str]
"""The caller's name for a parameter of this library."""
