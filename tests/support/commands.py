"""What a command printed."""

from subprocess import CompletedProcess


def error_of(done: CompletedProcess[str]) -> str:
    """The one line that an error ends in."""
    line = done.stderr.splitlines()[-1]
    assert line.startswith("push-queue: error: "), done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    return line
