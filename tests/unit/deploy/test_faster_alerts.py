"""The test of Compose waits for the same alerts, only for less long."""

import yaml

from tests.compose.faster import faster
from tests.compose.troubles import TROUBLES
from tests.support.monitoring import ALERTS, alerts

UNCAUSED = {"PushQueueEventsLag", "PushQueueWebhookBehind"}
"""Only promtool sees them fire: nothing outside delays events, and nobody receives webhooks."""


def shortened() -> dict[str, dict[str, object]]:
    (group,) = yaml.safe_load(faster(ALERTS.read_text()))["groups"]
    return {rule["alert"]: rule for rule in group["rules"]}


def test_it_has_every_alert_with_a_label_of_its_own() -> None:
    assert shortened().keys() == alerts().keys()
    for name, rule in shortened().items():
        assert rule["labels"] == {**alerts()[name]["labels"], "speed": "faster"}


def test_it_shortens_windows_ages_and_waits() -> None:
    rules = shortened()
    assert "[60s]" in str(rules["PushQueueFailures"]["expr"])
    assert str(rules["PushQueueFailures"]["expr"]).strip().endswith("> 5")
    assert "> 30 " in str(rules["PushQueueOldestJobTooOld"]["expr"])
    assert rules["PushQueueServerDown"]["for"] == "4s"
    assert rules["PushQueuePaused"]["for"] == "10s"
    assert "for" not in rules["PushQueueRegistryPaused"]


def test_it_changes_nothing_else() -> None:
    same = ("PushQueueServerDown", "PushQueueRedisAway", "PushQueueNoWorkers", "PushQueuePaused")
    for name in same:
        assert shortened()[name]["expr"] == alerts()[name]["expr"]


def test_each_alert_is_caused_but_for_a_few() -> None:
    caused = set().union(*TROUBLES.values())
    assert caused == alerts().keys() - UNCAUSED
