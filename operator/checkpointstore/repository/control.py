"""What pg_controldata says of a data directory, and the settings that a recovery of it needs."""

from pathlib import Path

from . import command
from .failure import transient

# PostgreSQL refuses to recover with less than the primary had, and forgets commit times when they are switched off.
SETTINGS = {
    "max_connections setting": "max_connections",
    "max_worker_processes setting": "max_worker_processes",
    "max_wal_senders setting": "max_wal_senders",
    "max_prepared_xacts setting": "max_prepared_transactions",
    "max_locks_per_xact setting": "max_locks_per_transaction",
    "wal_level setting": "wal_level",
    "wal_log_hints setting": "wal_log_hints",
    "track_commit_timestamp setting": "track_commit_timestamp",
}


def read(directory: Path) -> dict[str, str]:
    done = command.run(["pg_controldata", str(directory)], {"LC_ALL": "C"})
    if done.code:
        raise transient("RestoreFailed", f"pg_controldata: {done.err.strip()[:400]}")
    return parse(done.out)


def parse(text: str) -> dict[str, str]:
    pairs = (line.split(":", 1) for line in text.splitlines() if ":" in line)
    return {name.strip(): value.strip() for name, value in pairs}


def settings(facts: dict[str, str]) -> dict[str, str]:
    """The parameters as the primary had them."""
    return {parameter: facts[name] for name, parameter in SETTINGS.items() if name in facts}
