"""PgBouncer's files: what it listens to, how it logs in, and how many server connections it may have."""

from typing import Any

from ...kernel.contribution import Database
from .spec import Pooler

PORT = 5432
CONFIG = "/etc/pgbouncer"
SOCKET = "/tmp"
PID_FILE = "/dev/shm/pgbouncer.pid"
"""Where all containers of a pod see it, and where it goes with their processes: the number may be another's then."""
SLOTS = 2000
"""Clients that one pod takes."""
MARK = "syslog_ident"
"""The setting that carries the revision: free text of no effect without syslog, which the console shows as loaded."""
CONNECTIONS, BOUND = "default_pool_size", "max_db_connections"
"""The settings of how many server connections a login may have, and a pod. They are equal, but while a pause begins."""
# May log in without a password: the one only by certificate, the other only by being the same process user.
OPERATORS = ('"console" ""', '"monitoring" ""')


def configuration(spec: Pooler, database: Database, connections: int) -> dict[str, str]:
    """PgBouncer's files by name, for so many server connections: all but the logins and the certificates."""
    settings: dict[str, Any] = {
        "listen_addr": "0.0.0.0",
        "listen_port": PORT,
        "unix_socket_dir": SOCKET,
        "pool_mode": spec.pool_mode.value.lower(),
        # Savers prepare every statement; without this one client would run another's (measured: 0 of 200 right).
        "max_prepared_statements": 200,
        # Rows of 4 KB and what is around them are read and sent at once instead of in two parts.
        "pkt_buf": 8192,
        "max_client_conn": SLOTS,
        CONNECTIONS: connections,
        BOUND: connections,
        "auth_type": "hba",
        "auth_hba_file": f"{CONFIG}/hba.conf",
        "auth_ident_file": f"{CONFIG}/ident.conf",
        # The application's logins are in it, so that clients get in while no server answers.
        "auth_file": f"{CONFIG}/userlist.txt",
        "admin_users": "console",
        "stats_users": "monitoring",
        "ignore_startup_parameters": "extra_float_digits",
        "client_tls_sslmode": "require",
        "client_tls_ca_file": f"{CONFIG}/ca.crt",
        "client_tls_cert_file": f"{CONFIG}/tls.crt",
        "client_tls_key_file": f"{CONFIG}/tls.key",
        "client_tls_protocols": "secure",
        "server_tls_protocols": "secure",
        # A dead primary is noticed in 3 s, and its successor tried as often as PgBouncer looks; clients wait meanwhile.
        "server_login_retry": 0.3,
        "server_connect_timeout": 3,
        "tcp_keepalive": 1,
        "tcp_keepidle": 1,
        "tcp_keepintvl": 1,
        "tcp_keepcnt": 3,
        "tcp_user_timeout": 3000,
        "dns_max_ttl": 5,
        "query_wait_timeout": 60,
        "client_login_timeout": 30,
        "log_connections": 0,
        "log_disconnections": 0,
        "logfile": "",
        # The exporter finds the process by it, and tells what it uses.
        "pidfile": PID_FILE,
    }
    settings |= _server_login(database)
    lines = [
        "[databases]",
        f"{database.database} = host={database.host} port={database.port}{_primary_only(database)}",
        "[pgbouncer]",
        *(f"{name} = {value}" for name, value in settings.items() if value != ""),
    ]
    return {
        "pgbouncer.ini": "\n".join(lines) + "\n",
        "hba.conf": "\n".join(
            (
                "hostssl pgbouncer console 0.0.0.0/0 cert map=console",
                "hostssl pgbouncer console ::/0 cert map=console",
                "local pgbouncer monitoring peer map=exporter",
                f"hostssl {database.database} all 0.0.0.0/0 scram-sha-256",
                f"hostssl {database.database} all ::/0 scram-sha-256",
                "",
            )
        ),
        "ident.conf": "console postgres console\nexporter nonroot monitoring\n",
    }


def _primary_only(database: Database) -> str:
    """A new connection to a server that is no primary ends at once; else it would be kept for an hour."""
    return " connect_query='SELECT pooler.require_primary()'" if database.certificates else ""


def verified(database: Database) -> bool:
    """Whether the server's certificate is checked."""
    return database.server_tls.startswith("verify")


def _server_login(database: Database) -> dict[str, str]:
    """How PgBouncer proves itself to the server, and how it knows logins that are not the application's."""
    if database.certificates:
        return {
            "auth_user": "pooler",
            "auth_dbname": database.database,
            "auth_query": "SELECT uname, phash FROM pooler.user_lookup($1)",
            "server_tls_sslmode": database.server_tls,
            "server_tls_ca_file": f"{CONFIG}/ca.crt",
            "server_tls_cert_file": f"{CONFIG}/tls.crt",
            "server_tls_key_file": f"{CONFIG}/tls.key",
        }
    authority = {"server_tls_ca_file": f"{CONFIG}/server.crt"} if verified(database) else {}
    return {"server_tls_sslmode": database.server_tls, **authority}
