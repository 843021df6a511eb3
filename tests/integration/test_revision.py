"""A server tells which parameters it has loaded, through its exporter."""

import time

from checkpointstore.adapters import revision
from checkpointstore.providers.patroni.parameter import REVISION
from tests.integration import exporter
from tests.integration.job import Job
from tests.integration.server import Server


def test_the_revision_is_told_that_a_reload_brought(patroni: Job, server: Server) -> None:
    """By the connection that the exporter has had all along."""
    assert patroni.run().code == 0
    configuration = server.data / "postgresql.conf"
    before = configuration.read_text()
    try:
        with exporter.running(server) as found:
            assert revision.read(found.page()) == "none"
            for wanted in ("0123456789abcdef.1", "0123456789abcdef.2"):
                configuration.write_text(f"{before}{REVISION} = '{wanted}'\n")
                assert revision.read(found.page()) != wanted
                server.call("pg_ctl", "reload")
                deadline = time.monotonic() + 20
                while revision.read(page := found.page()) != wanted:
                    assert time.monotonic() < deadline, page
                    time.sleep(0.05)
            with server.admin() as connection:
                assert connection.execute("SELECT name FROM pg_settings WHERE name = %s", [REVISION]).fetchall() == []
    finally:
        configuration.write_text(before)
        server.call("pg_ctl", "reload")
