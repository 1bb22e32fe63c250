"""What Typer's completion for zsh lacks: it completes nothing when Tab is pressed first."""

from typer import _completion_shared

_AT_ONCE = """
# zsh loads this when Tab is pressed first, and waits for an answer.
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
  %(complete_func)s
fi
"""


def complete_at_once() -> None:
    """Have the script that Typer installs or shows complete at the first Tab, too."""
    script = _completion_shared.COMPLETION_SCRIPT_ZSH + _AT_ONCE
    _completion_shared._completion_scripts["zsh"] = script
