"""A year of a busy agent with a cold tier: what is hot follows the formula, and every thread comes back as it was."""

import pytest

from benchmarks import year
from benchmarks.report import Report
from tests.integration import objectstore
from tests.integration.job import Job
from tests.integration.server import Server
from tests.integration.tiering import Store


@pytest.mark.parametrize("whole", [True, False])
def test_a_year(patroni: Job, server: Server, bucket: objectstore.Bucket, whole: bool, soak: bool) -> None:
    assert patroni.run().code == 0
    bucket.empty()
    report = Report(print)
    assert year.measure(Store(server, bucket), report, year.THREADS if soak else 60, whole) == []
    figures = {figure.name.rpartition(".")[2]: figure.sample.value for figure in report.figures}
    # Of 60 threads the empty pages weigh more than the rows.
    assert figures["bill"] < ((0.04 if whole else 0.2) if soak else 0.5)
