"""PostgreSQL's parameters: computed from memory and volume, overlaid with the user's, closed by what we own."""

from collections.abc import Mapping

REVISION = "checkpointstore.revision"
"""By it a server tells which parameters it has loaded; PostgreSQL does nothing with it."""
OURS = REVISION.partition(".")[0] + "."
"""What the names of all parameters begin with that mean something to us alone."""
OWNED = frozenset(
    {
        REVISION,
        "archive_command",
        "archive_mode",
        "archive_timeout",
        "checkpointstore.large",
        "cluster_name",
        "config_file",
        "data_directory",
        "full_page_writes",
        "fsync",
        "hba_file",
        "hot_standby",
        "ident_file",
        "listen_addresses",
        "password_encryption",
        "port",
        "primary_conninfo",
        "primary_slot_name",
        "recovery_target",
        "restore_command",
        "shared_preload_libraries",
        "ssl",
        "ssl_ca_file",
        "ssl_cert_file",
        "ssl_key_file",
        "ssl_min_protocol_version",
        "synchronous_standby_names",
        "unix_socket_directories",
        "wal_level",
        "wal_log_hints",
    }
)
# Left to replication, monitoring, Jobs and people; poolers share out the rest.
RESERVED_CONNECTIONS = 20
OF_A_CONNECTION = 8
"""MiB of memory for each connection, where nobody says otherwise."""
TLS = "/etc/postgresql-tls"
SOCKET = "/run/postgresql"


def max_connections(memory: int, wanted: Mapping[str, str]) -> int:
    """The server's connections for `memory` MiB: what the user wants, else as memory has it, between 60 and 500."""
    asked = next((value for name, value in wanted.items() if name.lower() == "max_connections"), "")
    return int(asked) if asked.isdigit() else max(60, min(500, memory // OF_A_CONNECTION))


def shared_buffers(memory: int) -> int:
    """MiB of `memory` that are the server's own for the blocks of tables and indexes."""
    return max(64, memory // 4)


def parameters(memory: int, storage: int, wanted: Mapping[str, str]) -> dict[str, str]:
    """PostgreSQL's parameters for `memory` MiB and a volume of `storage` bytes.

    A quarter of memory for shared buffers and a tenth of the volume for WAL are PostgreSQL's own starting points
    (documentation, chapters "Resource Consumption" and "WAL Configuration").
    """
    connections = max_connections(memory, wanted)
    wal = max(128, min(8192, storage // (10 * 1024 * 1024)))
    computed = {
        "max_connections": str(connections),
        "shared_buffers": f"{shared_buffers(memory)}MB",
        "effective_cache_size": f"{max(128, memory * 3 // 4)}MB",
        "maintenance_work_mem": f"{max(32, min(1024, memory // 16))}MB",
        "work_mem": f"{max(4, memory // (4 * connections))}MB",
        "max_wal_size": f"{wal}MB",
        "min_wal_size": f"{max(80, wal // 4)}MB",
        "checkpoint_timeout": "15min",
        "wal_compression": "lz4",
        "default_toast_compression": "lz4",
        "random_page_cost": "1.1",
        "jit": "off",
        "track_io_timing": "on",
        "log_lock_waits": "on",
        # Who it was, which may be a trace, and never what a checkpoint holds.
        "log_line_prefix": "%m [%p] %q%a ",
        "log_parameter_max_length": "0",
        "tcp_keepalives_idle": "10",
        "tcp_keepalives_interval": "5",
        "tcp_keepalives_count": "3",
        "tcp_user_timeout": "6000",
        # A synchronous commit waits for a standby whose node is gone until this ends the connection to it.
        "wal_sender_timeout": "6s",
        "max_wal_senders": "16",
        "max_replication_slots": "16",
        "max_slot_wal_keep_size": f"{wal * 2}MB",
    }
    owned = {
        # What backups and pg_squeeze need, from the start: switching it on later would restart the server.
        "archive_mode": "on",
        "password_encryption": "scram-sha-256",
        "shared_preload_libraries": "pg_stat_statements,pg_squeeze",
        "ssl": "on",
        "ssl_ca_file": f"{TLS}/ca.crt",
        "ssl_cert_file": f"{TLS}/tls.crt",
        "ssl_key_file": f"{TLS}/tls.key",
        "ssl_min_protocol_version": "TLSv1.2",
        "unix_socket_directories": SOCKET,
        "wal_level": "logical",
    }
    return {**computed, **{name.lower(): value for name, value in wanted.items()}, **owned}
