"""Metrics as Prometheus would read them."""

from collections import defaultdict
from collections.abc import Mapping

from prometheus_client.parser import text_string_to_metric_families


class Samples:
    """The samples of one scrape: ``samples[name, value, …]``.

    The values are those of the labels, in the order of the labels' names.
    """

    def __init__(self, found: Mapping[str, Mapping[tuple[str, ...], float]]) -> None:
        self._found = found

    @property
    def names(self) -> set[str]:
        return set(self._found)

    def of(self, name: str) -> Mapping[tuple[str, ...], float]:
        """All samples of a name, by the values of their labels."""
        return self._found.get(name, {})

    def __getitem__(self, key: str | tuple[str, ...]) -> float:
        name, *labels = (key,) if isinstance(key, str) else key
        return self._found[name][tuple(labels)]


def parse_metrics(text: str) -> Samples:
    """Read the text format of Prometheus, as its own client library does."""
    found: dict[str, dict[tuple[str, ...], float]] = defaultdict(dict)
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found[sample.name][tuple(value for _, value in sorted(sample.labels.items()))] = (
                sample.value
            )
    return Samples(found)
