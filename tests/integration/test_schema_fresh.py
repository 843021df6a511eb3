"""On a fresh server the Job leaves a stock setup()'s tables, our listed extras, and the roles that are agreed on."""

from checkpointstore.kernel import scram
from tests.integration import catalog
from tests.integration.job import PASSWORDS, Job
from tests.integration.server import Server


def test_equals_a_stock_setup_plus_our_extras(patroni: Job, server: Server, stock_facts: catalog.Facts) -> None:
    result = patroni.run()
    assert result.code == 0, result.log
    with server.admin("app") as connection:
        facts = catalog.facts(connection)
    assert facts - stock_facts == catalog.extras()
    assert stock_facts - facts == catalog.replaced()


def test_equals_a_stock_setup_on_an_external_server_too(
    external: Job, server: Server, stock_facts: catalog.Facts
) -> None:
    result = external.run()
    assert result.code == 0, result.log
    with server.admin("app") as connection:
        facts = catalog.facts(connection)
    assert facts - stock_facts == catalog.extras()
    assert stock_facts - facts == catalog.replaced()


def test_says_what_stands(patroni: Job, server: Server) -> None:
    with server.admin() as connection:
        version = connection.info.server_version
    assert patroni.run().outcome == {
        "modules": [{"name": "LangGraph", "version": 9}],
        "serverVersion": f"{version // 10000}.{version % 10000}",
        "maxConnections": 80,
    }


def test_a_second_run_changes_nothing(patroni: Job, server: Server) -> None:
    patroni.run()
    with server.admin("app") as connection:
        before = catalog.facts(connection) | catalog.access(connection)
    again = patroni.run()
    with server.admin("app") as connection:
        after = catalog.facts(connection) | catalog.access(connection)
    assert (again.code, again.steps) == (0, [])
    assert after == before


def test_a_second_run_on_an_external_server_only_sets_the_same_password(external: Job, server: Server) -> None:
    external.run()
    with server.admin("app") as connection:
        before = catalog.facts(connection) | catalog.access(connection)
    again = external.run()
    with server.admin("app") as connection:
        after = catalog.facts(connection) | catalog.access(connection)
    assert (again.code, again.steps) == (0, ["let app_a log in"])
    assert after == before


def test_roles_may_do_what_they_are_for(patroni: Job, server: Server) -> None:
    patroni.run()
    with server.admin("app") as connection:
        roles = {
            row["rolname"]: row
            for row in connection.execute("SELECT * FROM pg_roles WHERE rolname !~ '^pg_|^postgres$'")
        }
        owners = connection.execute(
            "SELECT DISTINCT pg_get_userbyid(relowner) AS name FROM pg_class WHERE relname ~ '^checkpoint'"
        ).fetchall()
        monitors = connection.execute("SELECT pg_has_role('monitoring', 'pg_monitor', 'USAGE') AS may")
        assert [row["may"] for row in monitors] == [True]
    assert [row["name"] for row in owners] == ["app_owner"]
    logins = {name for name, row in roles.items() if row["rolcanlogin"]}
    assert (logins, set(roles) - logins) == ({"app_a", "pooler", "monitoring"}, {"app", "app_owner"})
    assert not any(row["rolsuper"] or row["rolcreaterole"] or row["rolcreatedb"] for row in roles.values())


def test_the_pooler_looks_up_the_application_and_nobody_else(patroni: Job, server: Server) -> None:
    patroni.run()
    lookup = "SELECT * FROM pooler.user_lookup(%s)"
    with server.admin("app", user="pooler") as connection:
        found = {
            name: connection.execute(lookup, [name]).fetchone()
            for name in ("app_a", "app_b", "postgres", "pooler", "monitoring", "app")
        }
    verifier = scram.verifier("app_a", PASSWORDS["app_a"])
    nothing = {"uname": None, "phash": None}
    assert found.pop("app_a") == {"uname": "app_a", "phash": verifier}
    assert all(row == nothing for row in found.values()), found
    with server.admin("app") as connection:
        rows = connection.execute(
            "SELECT rolname FROM pg_roles WHERE rolname !~ '^pg_' "
            "AND has_function_privilege(oid, 'pooler.user_lookup(text)', 'EXECUTE')"
        ).fetchall()
    assert {row["rolname"] for row in rows} == {"pooler", "postgres"}
    with server.admin("app", user="app_a") as connection:
        stays = connection.execute("SELECT pooler.require_primary() AS thrown_out").fetchone()
    assert stays == {"thrown_out": None}


def test_archiving_is_told_to_monitoring_and_nobody_else(patroni: Job, server: Server) -> None:
    patroni.run()
    with server.admin("postgres", user="monitoring") as connection:
        told = connection.execute("SELECT * FROM checkpointstore.archiving()").fetchone()
    assert told is not None
    assert (told["failing"], told["cause"], told["dropped_timestamp_seconds"]) == (0, "", 0)
    with server.admin("postgres") as connection:
        rows = connection.execute(
            "SELECT rolname FROM pg_roles WHERE rolname !~ '^pg_' "
            "AND has_function_privilege(oid, 'checkpointstore.archiving()', 'EXECUTE')"
        ).fetchall()
    assert {row["rolname"] for row in rows} == {"monitoring", "postgres"}


def test_owner_of_the_database_decides_who_connects(patroni: Job, server: Server) -> None:
    patroni.run()
    with server.admin() as connection:
        connection.execute("CREATE ROLE stranger LOGIN")
        rows = connection.execute(
            "SELECT rolname FROM pg_roles WHERE rolname !~ '^pg_' AND has_database_privilege(oid, 'app', 'CONNECT')"
        ).fetchall()
        collation = connection.execute("SELECT datcollate FROM pg_database WHERE datname = 'app'").fetchone()
    assert {row["rolname"] for row in rows} == {"app", "app_a", "app_owner", "monitoring", "pooler", "postgres"}
    assert collation == {"datcollate": "C.UTF-8"}
