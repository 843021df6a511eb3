"""What the postgres exporter's page says of the parameters that a server has loaded."""

import asyncio

import pytest
import yaml

from checkpointstore.adapters import revision
from checkpointstore.providers.patroni import exporter

OLD = """\
# TYPE pg_up gauge
pg_up 1
# TYPE pg_exporter_last_scrape_error gauge
pg_exporter_last_scrape_error 0
"""
PAGE = f"""\
# TYPE checkpointstore_configuration gauge
checkpointstore_configuration{{revision="0123.7",server="/var/run"}} 1
{OLD}"""


def test_a_revision_is_read() -> None:
    assert revision.read(PAGE) == "0123.7"
    assert revision.read(PAGE.replace("error 0", "error 1")) == "0123.7"


def test_where_all_is_well_and_it_is_not_there_it_is_not_asked_for() -> None:
    assert revision.read(OLD) == ""


@pytest.mark.parametrize(
    "text",
    ["", "<html>", "pg_up 1\n", OLD.replace("pg_up 1", "pg_up 0"), OLD.replace("error 0", "error 1")],
)
def test_a_page_of_an_exporter_that_could_not_ask_says_nothing(text: str) -> None:
    assert revision.read(text) is None


def test_it_is_asked_where_the_exporter_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    async def page(address: str, port: int) -> str:
        return PAGE if (address, port) == ("198.18.0.9", exporter.PORT) else ""

    monkeypatch.setattr(revision, "page", page)
    assert asyncio.run(revision.look("198.18.0.9")) == "0123.7"
    assert asyncio.run(revision.look("198.18.0.8")) is None


def test_the_exporter_is_told_of_what_is_read() -> None:
    told = yaml.safe_load(exporter.QUERIES)["checkpointstore"]
    assert [(name, said["usage"]) for metric in told["metrics"] for name, said in metric.items()] == [
        ("configuration", "GAUGE"),
        ("revision", "LABEL"),
    ]
    assert revision.METRIC == "checkpointstore_configuration"
