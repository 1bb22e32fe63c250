"""Alerts and dashboard name metrics that exist, and each alert says what to do."""

import re

import pytest
import yaml

from scripts.reference.pages import REFERENCE
from tests.support.monitoring import (
    ALERT_TESTS,
    DEPLOY,
    alerts,
    dashboard,
    dashboard_queries,
    series,
    unknown,
)
from tests.support.servers import REPOSITORY_ROOT

RUNBOOK = REPOSITORY_ROOT / "docs" / "how-to" / "runbook.md"


@pytest.mark.parametrize("name", alerts())
def test_an_alert_asks_for_metrics_that_exist(name: str) -> None:
    assert unknown(alerts()[name]["expr"]) == []


@pytest.mark.parametrize("name", alerts())
def test_an_alert_leads_to_its_paragraph(name: str) -> None:
    annotations = alerts()[name]["annotations"]
    assert annotations["runbook"] == f"docs/how-to/runbook.md#{name.lower()}"
    paragraph = re.search(rf"^## {name}\n\n(.+?)(?=\n\n## |\Z)", RUNBOOK.read_text(), re.M | re.S)
    assert paragraph
    assert len(paragraph[1].split()) > 20
    assert alerts()[name]["labels"]["severity"] in {"critical", "warning"}


def test_the_runbook_has_no_other_paragraphs() -> None:
    assert re.findall(r"^## (\w+)$", RUNBOOK.read_text(), re.M) == list(alerts())


@pytest.mark.parametrize("name", alerts())
def test_an_alert_is_shown_to_fire_and_not_to(name: str) -> None:
    tests = yaml.safe_load(ALERT_TESTS.read_text())["tests"]
    expected = [
        one["exp_alerts"]
        for test in tests
        for one in test["alert_rule_test"]
        if one["alertname"] == name
    ]
    assert [] in expected
    assert any(expected)


@pytest.mark.parametrize(("title", "query"), list(dashboard_queries()))
def test_a_panel_asks_for_metrics_that_exist(title: str, query: str) -> None:
    assert unknown(query) == [], title


def test_panels_do_not_overlap_and_have_ids_of_their_own() -> None:
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not taken & cells, panel["title"]
        taken |= cells


def test_keda_asks_for_metrics_that_exist() -> None:
    scaled = yaml.safe_load((DEPLOY / "kubernetes/components/keda/scaled-object.yaml").read_text())
    queries = [trigger["metadata"]["query"] for trigger in scaled["spec"]["triggers"]]
    assert queries
    assert [wrong for query in queries for wrong in unknown(query)] == []


def test_the_documents_name_metrics_that_exist() -> None:
    named = re.findall(r"`(push_queue_\w+)`", RUNBOOK.read_text())
    queries = re.findall(r"```promql\n(.*?)```", (REFERENCE / "metrics.md").read_text(), re.S)
    assert named
    assert queries
    assert [wrong for query in (*named, *queries) for wrong in unknown(query)] == []


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ("sum(push_queue_job)", ["push_queue_job"]),
        ('push_queue_jobs{job="push-queue", status="x"}', ["push_queue_jobs{status}"]),
        (
            "push_queue_worker_attempt_duration_seconds",
            ["push_queue_worker_attempt_duration_seconds"],
        ),
        ('rate(push_queue_jobs{state=~"$state"}[5m])', []),
    ],
)
def test_what_does_not_exist_is_found(query: str, wrong: list[str]) -> None:
    assert unknown(query) == wrong
    assert "push_queue_jobs" in series()
