"""What `push-queue verify` takes as a tar."""

import pytest

from tests.unit.producer.cli.conftest import CommandLine

REFERENCE = "localhost:1/app:1"


@pytest.mark.parametrize(
    ("tar", "said"),
    [
        (
            "https://ci:secret@files.example.com/app.tar?signature=secret",
            "https://files.example.com/app.tar: verify reads a tar here; "
            "download it and name its path",
        ),
        (
            "-",
            "verify reads a tar more than once; write standard input to a file and name its path",
        ),
        ("", "the name of a tar is empty; is the variable with it set?"),
        ("none.tar", "none.tar does not exist"),
    ],
)
def test_what_is_no_path_of_a_tar_is_told(tar: str, said: str, cli: CommandLine) -> None:
    assert cli.fails("verify", REFERENCE, tar) == said
