"""docs/monitoring/: what Prometheus and Grafana are given, held against what /metrics has.

Promises: expressions are parsed by a parser of PromQL; each metric they name is there, or recorded by a rule.
On failure: the expression, or the names that do not exist.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "monitoring"
RULES = yaml.safe_load((FOLDER / "headwater.rules.yml").read_text())
DASHBOARD = json.loads((FOLDER / "grafana-dashboard.json").read_text())
# What Prometheus itself knows of a target.
ITS_OWN = {"up"}
# Grafana's variables stand where PromQL has a duration, or a text.
VARIABLES = {"$__rate_interval": "5m", "$cache": ".+"}


def rules() -> list[dict[str, Any]]:
    return [rule for group in RULES["groups"] for rule in group["rules"]]


def expressions() -> Iterator[str]:
    yield from (rule["expr"] for rule in rules())
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            expression = target["expr"]
            for name, value in VARIABLES.items():
                expression = expression.replace(name, value)
            yield expression


def named(expression: str) -> set[str]:
    """The metrics an expression names. Raises ValueError for what is no PromQL."""
    found = set()

    def take(node: promql_parser.Expr) -> bool:
        if isinstance(node, promql_parser.VectorSelector):
            found.add(str(node.name))
        return True

    promql_parser.walk(promql_parser.parse(expression), take)
    return found


@pytest.mark.django_db
def test_every_metric_that_is_named_is_one_of_metrics(client: Client) -> None:
    text = client.get("/metrics").content.decode()
    there = {
        sample.name for family in text_string_to_metric_families(text) for sample in family.samples
    }
    # Of the dashboards there is none in a test, but their families are told.
    there |= {family.name for family in text_string_to_metric_families(text)}
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    wanted = set().union(*(named(expression) for expression in expressions()))
    assert wanted - there - recorded - ITS_OWN == set()
    assert {"headwater_redis_up", "headwater_outbox_oldest_seconds"} <= wanted


def test_every_alert_waits_says_how_bad_it_is_and_what_to_do() -> None:
    alerts = [rule for rule in rules() if "alert" in rule]
    assert len({rule["alert"] for rule in alerts}) == len(alerts)
    for rule in alerts:
        assert rule["for"]
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert {*rule["annotations"]} == {"summary", "action"}


def test_no_expression_sums_what_every_process_tells_of_all() -> None:
    for expression in expressions():
        assert "sum by" not in expression
        for part in expression.split("sum(")[1:]:
            assert part.startswith(("max by (cache)", "headwater:"))


def test_panels_do_not_overlap_and_have_a_title_and_a_unit() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        assert panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken
        taken |= cells


def test_the_scrape_job_is_named_as_the_rules_know_it() -> None:
    [job] = yaml.safe_load((FOLDER / "prometheus.yml").read_text())["scrape_configs"]
    assert job["job_name"] == "headwater"
    assert any('job="headwater"' in rule["expr"] for rule in rules())
    assert job["metrics_path"] == "/metrics"
