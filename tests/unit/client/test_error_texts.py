"""What errors of the library say to those who use it without the queue."""

import ast
import re
from pathlib import Path

import pytest

import registry_api_v2_client
from registry_api_v2_client import ImageArchive
from registry_api_v2_client.exceptions import SourceMissingError

MODULES = sorted(Path(registry_api_v2_client.__file__).parent.rglob("*.py"))
OF_THE_QUEUE = re.compile(r"queue|worker|\bjobs?\b", re.IGNORECASE)


def texts_of_errors(module: Path) -> list[str]:
    """What is said by each error that the module makes, without what is filled in."""
    return [
        "".join(
            part.value
            for part in ast.walk(node)
            if isinstance(part, ast.Constant) and isinstance(part.value, str)
        )
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("Error")
    ]


def test_no_error_speaks_of_the_queue() -> None:
    texts = [text for module in MODULES for text in texts_of_errors(module)]
    assert any("does not exist" in text for text in texts)
    assert not [text for text in texts if OF_THE_QUEUE.search(text)]


@pytest.mark.parametrize("url", ["https://example.com/app.tar", "s3://bucket/app.tar"])
def test_who_names_a_url_is_told_what_opens_it(url: str) -> None:
    with pytest.raises(SourceMissingError, match="open a URL by UrlSources"):
        ImageArchive(url)
