"""The pages against the code: tables, links, and the worked example of a new metric."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from cc_stream.alerts import RULES as ALERT_RULES
from cc_stream.contracts import decode_one
from cc_stream.dead_letters import RULES
from cc_stream.events import ALL_EVENTS, Event, Refused, type_of
from cc_stream.leaderboard import LEADERBOARDS
from cc_stream.metrics.service_level import FORMULAS
from cc_stream.metrics.table import PAGE, fill
from cc_stream.topics import topics

REPOSITORY = Path(__file__).parents[2]
DOCS = REPOSITORY / "docs"
PAGES = sorted(
    [
        *DOCS.rglob("*.md"),
        *(REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md", "schemas/README.md")),
    ]
)
LOG = REPOSITORY / "schemas" / "examples" / "asterisk_queue_log" / "queue_log.log"


def rows_of(page: str) -> set[str]:
    """The first cell of every row of every table."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return set(re.findall(r"^\| `([^`]+)`", text, re.MULTILINE))


def test_the_metric_tables_are_those_of_the_code() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert fill(page) == page, "run `python -m cc_stream.metrics.table`"


def test_every_formula_board_and_rule_is_explained() -> None:
    explained = rows_of("metrics.md")
    assert explained >= set(FORMULAS)
    assert explained >= {spec.name for spec in LEADERBOARDS}
    assert explained >= {rule.name for rule in ALERT_RULES}


def test_every_dead_letter_rule_is_listed() -> None:
    page = (DOCS / "operations.md").read_text(encoding="utf-8")
    for rule in RULES:
        assert f"| `{rule.id}` | {rule.meaning} |" in page


def test_every_topic_is_listed() -> None:
    page = (DOCS / "architecture.md").read_text(encoding="utf-8")
    for topic in topics():
        assert f"| `{topic.name}` | {topic.partitions} |" in page


@pytest.mark.parametrize("event", ALL_EVENTS, ids=type_of)
def test_every_event_is_listed_with_its_fields(event: type[Event]) -> None:
    data = event.__annotations__["data"]
    fields = msgspec.structs.fields(data)
    required = ", ".join(field.name for field in fields if field.required)
    optional = ", ".join(field.name for field in fields if not field.required)
    meaning = (data.__doc__ or "").splitlines()[0]
    row = f"| `{type_of(event)}` | {required} | {optional} | {meaning} |\n"
    assert row in (DOCS / "sources.md").read_text(encoding="utf-8"), row


def test_events_that_are_shown_are_events() -> None:
    page = (DOCS / "sources.md").read_text(encoding="utf-8")
    shown = re.findall(r"^```json\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert shown
    for text in shown:
        event, unknown_fields = decode_one(text.encode())
        assert not isinstance(event, Refused), event
        assert not unknown_fields


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_lead_to_files(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
        if "://" not in target:
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_named_files_exist(page: Path) -> None:
    """Paths in backquotes below a folder of the repository."""
    text = page.read_text(encoding="utf-8")
    folders = r"cc_stream|streams|tests|docs|deploy|schemas|bench"
    for path in re.findall(rf"`((?:{folders})/[\w./-]+)`", text):
        if "short_calls" not in path:  # the metric that the worked example adds
            assert (REPOSITORY / path).exists(), path


def test_the_worked_example_of_a_metric_is_true(tmp_path: Path) -> None:
    """What docs/architecture.md says about a new metric, done to a copy: it is in the report."""
    page = (DOCS / "architecture.md").read_text(encoding="utf-8")
    found = re.search(r"```python\n(\"\"\"Completed segments with hardly.+?)```", page, re.DOTALL)
    assert found is not None
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(REPOSITORY / "cc_stream", tmp_path / "cc_stream", ignore=ignored)
    metrics = tmp_path / "cc_stream" / "metrics"
    (metrics / "short_calls.py").write_text(found[1], encoding="utf-8")
    listing = metrics / "__init__.py"
    text = listing.read_text(encoding="utf-8")
    text = text.replace("    service_level,\n", "    service_level,\n    short_calls,\n", 1)
    text = text.replace(
        "    handled.METRIC,\n", "    handled.METRIC,\n    short_calls.METRIC,\n", 1
    )
    listing.write_text(text, encoding="utf-8")
    report = [sys.executable, "-m", "cc_stream.cli", "report", "asterisk-queue-log", str(LOG)]
    done = subprocess.run(
        [*report, "--by", "agent", "--format", "json"],
        cwd=tmp_path,
        capture_output=True,
        check=True,
    )
    shown = {row["id"]: row["metrics"]["short_calls"] for row in json.loads(done.stdout)}
    assert shown == {"Anna": 0, "Bert": 1, "Cleo": 0}
