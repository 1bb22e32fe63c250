"""The document of the metrics has each of them, as it is."""

from tests.support.metrics_table import DOCUMENT, written


def test_the_tables_are_those_of_the_metrics() -> None:
    text = DOCUMENT.read_text()
    assert text == written(text), "write them by `python -m tests.support.metrics_table`"
