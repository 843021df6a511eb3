"""The page of metrics names all that instances are asked for, with their labels, and nothing of ours besides."""

import re

import pytest

from checkpointstore.providers.patroni.exporter import ASKED
from tests.unit.docs.test_pages import ROOT

PAGE = (ROOT / "docs" / "metrics.md").read_text()
SECTION = PAGE.split("\n## Of an instance\n")[1].split("\n## ")[0]
ROWS = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", SECTION, re.MULTILINE))


@pytest.mark.parametrize("name", ASKED)
def test_every_metric_of_an_instance_is_described_with_its_labels(name: str) -> None:
    columns = ASKED[name].columns
    labels = [column for column, (use, _) in columns.items() if use == "LABEL"]
    for metric in (f"{name}_{column}" for column in columns if column not in labels):
        assert metric in ROWS
        # An answer has the same labels in all its metrics; archiving's says its one on the metric that it explains.
        if name != "checkpointstore_archive":
            assert [label for label in labels if f"`{label}`" not in ROWS[metric]] == [], metric


def test_nothing_is_described_that_is_not_there() -> None:
    known = {f"{name}_{column}" for name, query in ASKED.items() for column in query.columns}
    named = set(re.findall(r"`(checkpointstore_\w+)", SECTION))
    assert named - known == set()
