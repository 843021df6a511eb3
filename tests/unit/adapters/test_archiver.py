"""What the postgres exporter's page says of an instance's archiving."""

import asyncio
from datetime import UTC, datetime

import pytest
import yaml

from checkpointstore.adapters import archiver
from checkpointstore.features.backup.archiving import CAUSES
from checkpointstore.kernel.observed import Archiver
from checkpointstore.providers.patroni import exporter

PAGE = """\
# TYPE pg_up gauge
pg_up 1
# TYPE checkpointstore_archive_waiting gauge
checkpointstore_archive_waiting{cause="unreachable",server="/var/run"} 70
checkpointstore_archive_waiting_seconds{cause="unreachable",server="/var/run"} 900.5
checkpointstore_archive_failing{cause="unreachable",server="/var/run"} 1
checkpointstore_archive_rate{cause="unreachable",server="/var/run"} 1.5e6
checkpointstore_archive_dropped_timestamp_seconds{cause="unreachable",server="/var/run"} 1.767225607e+09
"""
WELL = """\
checkpointstore_archive_waiting{cause=""} 0
checkpointstore_archive_waiting_seconds{cause=""} 0
checkpointstore_archive_failing{cause=""} 0
checkpointstore_archive_rate{cause=""} 0
checkpointstore_archive_dropped_timestamp_seconds{cause=""} 0
"""


def test_archiving_that_fails() -> None:
    dropped = datetime(2026, 1, 1, 0, 0, 7, tzinfo=UTC)
    assert archiver.read(PAGE) == Archiver(70, 900.5, True, "unreachable", 1_500_000, dropped)
    assert "unreachable" in CAUSES


def test_archiving_that_works() -> None:
    assert archiver.read(WELL) == archiver.read("checkpointstore_archive_waiting 0\n") == Archiver()


@pytest.mark.parametrize("text", ["", "<html>", "pg_up 1\n", PAGE.replace("_archive_waiting{", "_other{")])
def test_a_page_without_it_says_nothing(text: str) -> None:
    assert archiver.read(text) is None


def test_it_is_asked_where_the_exporter_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    async def page(address: str, port: int) -> str:
        return PAGE if (address, port) == ("198.18.0.9", exporter.PORT) else ""

    monkeypatch.setattr(archiver, "page", page)
    assert asyncio.run(archiver.look("198.18.0.9")) == archiver.read(PAGE)
    assert asyncio.run(archiver.look("198.18.0.8")) is None


def test_the_exporter_is_told_of_all_that_is_read() -> None:
    name, told = next(iter(yaml.safe_load(exporter.QUERIES).items()))
    columns = {column for metric in told["metrics"] for column in metric}
    read = {line.partition("{")[0] for line in WELL.splitlines()}
    assert read | {f"{name}_cause"} == {f"{name}_{column}" for column in columns}
    assert f"{name}_" == archiver.PREFIX
