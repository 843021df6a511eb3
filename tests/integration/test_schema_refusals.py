"""What a person reads when the Job cannot go on, how the Job waits when time will help, and that no secret is told."""

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from checkpointstore.adapters import certificate
from checkpointstore.kernel import scram
from tests.integration.job import EXTERNAL_PASSWORD, PASSWORDS, Job, Result
from tests.integration.server import Server


def refused(result: Result, reason: str, *words: str) -> None:
    print(result.outcome["message"])
    assert (result.code, result.outcome["reason"]) == (64, reason), result
    for word in words:
        assert word in result.outcome["message"]


def test_admin_without_createrole(external: Job, server: Server) -> None:
    with server.admin() as connection:
        connection.execute("ALTER ROLE dba NOCREATEROLE")
    refused(external.run(), "InsufficientPrivilege", 'ALTER ROLE "dba" CREATEROLE')


def test_admin_who_may_not_grant_on_the_schema(external: Job, server: Server) -> None:
    with server.admin() as connection:
        connection.execute("ALTER DATABASE app OWNER TO postgres")
    refused(external.run(), "InsufficientPrivilege", "schema public", 'OWNER TO "dba"')


def test_roles_of_somebody_else(external: Job, server: Server) -> None:
    with server.admin() as connection:
        connection.execute("CREATE ROLE shop_agents")
    refused(external.run(), "RoleTaken", "shop_agents", "COMMENT ON ROLE")


def test_wrong_password(external: Job) -> None:
    (external.admin / "password").write_text("wrong")
    refused(external.run(), "LoginRefused", "dba")


def test_missing_database(external: Job) -> None:
    (external.admin / "database").write_text("nowhere")
    refused(external.run(), "DatabaseMissing", "nowhere")


def test_encryption_that_the_server_insists_on(external: Job) -> None:
    (external.admin / "sslmode").write_text("disable")
    refused(external.run(), "LoginRefused", "no encryption")


def test_certificate_of_somebody_else(external: Job) -> None:
    (external.admin / "ca.crt").write_bytes(certificate.authority("somebody else")[0])
    refused(external.run(), "CertificateRefused", "certificate verify failed")


def test_without_an_authority_the_connection_is_still_encrypted(external: Job, server: Server) -> None:
    (external.admin / "ca.crt").unlink()
    assert external.run().code == 0


@pytest.mark.parametrize("key", ["host", "port", "database", "username", "password"])
def test_missing_key(external: Job, key: str) -> None:
    (external.admin / key).unlink()
    refused(external.run(), "SecretIncomplete", key)


def test_empty_key(external: Job) -> None:
    (external.admin / "host").write_text("\n")
    refused(external.run(), "SecretIncomplete", "host")


def test_request_that_makes_no_sense(external: Job) -> None:
    request = {**external.request, "modules": ["Nonsense"]}
    refused(replace(external, request=request).run(), "InvalidRequest", "modules")
    retiring = {**external.request, "retire": ["app_a"]}
    refused(replace(external, request=retiring).run(), "InvalidRequest", "app_a")


def test_a_server_that_is_away_is_waited_for_in_vain(external: Job) -> None:
    (external.admin / "port").write_text("1")
    started = time.monotonic()
    result = replace(external, request={**external.request, "patienceSeconds": 1.5}).run()
    assert (result.code, result.outcome["reason"]) == (1, "Unavailable")
    assert 0.5 < time.monotonic() - started < 15


def test_a_server_that_starts_and_is_promoted_is_waited_for(patroni: Job, server: Server) -> None:
    server.stop()
    running = patroni.start()
    _logged(running.folder, "refused")
    standby = server.data / "standby.signal"
    standby.touch()
    server.start()
    _logged(running.folder, "standby")
    with server.admin() as connection:
        connection.execute("SELECT pg_promote()")
    result = running.wait()
    assert result.code == 0, result.log


def test_no_secret_is_told(external: Job, server: Server) -> None:
    """log_statement is `all` here, and the tests' own statements that hold a secret are not logged."""
    results = [external.run(), replace(external, username="app_b", password=PASSWORDS["app_b"]).run()]
    with server.admin() as connection:
        connection.execute("ALTER ROLE dba NOCREATEROLE")
    results.append(external.run())
    (external.admin / "database").write_text("nowhere")
    results.append(external.run())
    assert [result.code for result in results] == [0, 0, 64, 64]
    told = server.log + "".join(result.log + json.dumps(result.outcome) for result in results)
    assert "CREATE TABLE public.checkpoints" in told
    for secret in (EXTERNAL_PASSWORD, *PASSWORDS.values()):
        assert secret not in told


def test_our_own_server_logs_not_even_the_verifier(patroni: Job, server: Server) -> None:
    before = len(server.log)
    assert patroni.run().code == 0
    verifier = scram.verifier("app_a", PASSWORDS["app_a"])
    with server.admin("app") as connection:
        kept = connection.execute(
            "SELECT count(*) AS n FROM pg_stat_statements JOIN pg_database ON pg_database.oid = dbid "
            "WHERE datname = 'app' AND query LIKE '%SCRAM%'"
        )
        assert kept.fetchone() == {"n": 0}
    assert verifier not in server.log[before:]


def _logged(folder: Path, words: str) -> None:
    deadline = time.monotonic() + 30
    while words not in (folder / "log").read_text():
        assert time.monotonic() < deadline, (folder / "log").read_text()
        time.sleep(0.05)
