"""Prometheus accepts what we give it, and its rules fire when they should (promtool)."""

import subprocess

import pytest

from tests.deploy.monitoring import DEPLOY, exported, metric_names, rules

FOLDER = DEPLOY / "prometheus"


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "config", "prometheus.yml"],
        ["check", "rules", "rules.yml"],
        ["test", "rules", "rules_test.yml"],
    ],
    ids=" ".join,
)
def test_promtool(arguments: list[str]) -> None:
    done = subprocess.run(
        ["promtool", *arguments],  # noqa: S607 - a missing promtool has to fail
        cwd=FOLDER, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FAILED" not in done.stdout + done.stderr


@pytest.mark.parametrize(("name", "query"), rules(), ids=lambda value: value[:40])
def test_rules_use_metrics_that_exist(name: str, query: str) -> None:
    assert metric_names(query) <= exported(), name


def test_every_rule_has_a_test() -> None:
    tests = (FOLDER / "rules_test.yml").read_text()
    assert all(f"alertname: {name}\n" in tests for name, _ in rules())
