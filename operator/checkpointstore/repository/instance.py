"""A PostgreSQL of our own on a restored data directory: nobody else can reach it, and it archives nothing."""

import re
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from . import client, command, complaint, control, journal
from .failure import Failure, transient

PORT = 5432
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 1.0


class Ended(Exception):
    """It stopped by itself; `log` says why."""

    def __init__(self, log: str) -> None:
        super().__init__(log)
        self.log = log

    @property
    def last_commit(self) -> datetime | None:
        """Of what it had replayed until then."""
        found = re.findall(r"^LOG: +last completed transaction was at log time (.*)$", self.log, re.MULTILINE)
        return datetime.fromisoformat(found[-1]) if found else None

    def failure(self) -> Failure:
        """By what pgBackRest said in the log, or else by PostgreSQL's last words."""
        if "ERROR: [" in self.log:
            return complaint.failure(self.log[self.log.index("ERROR: [") :], complaint.RESTORE_FAILED)
        # What it tells our own early questions is no reason.
        fatal = re.findall(r"^(?:FATAL|PANIC): +(?! |the database system is|terminating).*", self.log, re.M)
        return transient("RestoreFailed", f"PostgreSQL says: {fatal[-1][:400] if fatal else 'nothing'}")


@dataclass(frozen=True, slots=True)
class Instance:
    """`memory` in MiB; a directory that is only looked at need not survive a crash."""

    directory: Path
    memory: int
    durable: bool

    @property
    def folder(self) -> Path:
        """Its configuration, its socket, its log and pgBackRest's spool."""
        return command.scratch() / "recovery"

    @property
    def way(self) -> dict[str, str]:
        return {"PGHOST": str(self.folder), "PGPORT": str(PORT), "PGUSER": "postgres"}

    def start(self, recovery: Mapping[str, str]) -> "subprocess.Popen[bytes]":
        """Start it in archive recovery, from a new folder: what an earlier run spooled may be of another day."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(mode=0o700)
        (self.folder / "hba.conf").write_text("local all all trust\n")
        (self.folder / "ident.conf").touch()
        (self.folder / "postgresql.conf").write_text(self._configuration(recovery))
        (self.directory / "standby.signal").unlink(missing_ok=True)
        (self.directory / "recovery.signal").touch()
        argv = ["postgres", "-D", str(self.directory), "-c", f"config_file={self.folder}/postgresql.conf"]
        with (self.folder / "log").open("wb") as log:
            return subprocess.Popen(
                [*command.tied("QUIT"), *argv],
                env=command.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Whoever signals our process group, as a terminal does, must not stop it half way.
                start_new_session=True,
                close_fds=False,
            )

    def promoted(self, process: "subprocess.Popen[bytes]") -> None:
        """Wait until it takes writes; Ended when it does not get there."""
        pause = FIRST_PAUSE
        while True:
            code = process.poll()
            if code is not None:
                raise Ended(self.log())
            done = client.attempt(self.way, "postgres", "SELECT pg_is_in_recovery();")
            if done.code == 0 and done.out.strip() == "f":
                return
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def stop(self, process: "subprocess.Popen[bytes]") -> None:
        """Cleanly: with a checkpoint at the end."""
        process.send_signal(signal.SIGINT)
        code = process.wait()
        if code:
            raise Ended(self.log())
        journal.write("stopped")

    def kill(self, process: "subprocess.Popen[bytes]") -> None:
        """At once; its processes are gone when this returns."""
        process.send_signal(signal.SIGQUIT)
        process.wait()

    def log(self) -> str:
        return (self.folder / "log").read_text("utf-8", "replace")

    def _configuration(self, recovery: Mapping[str, str]) -> str:
        settings = {
            "listen_addresses": "",
            "port": str(PORT),
            "unix_socket_directories": str(self.folder),
            "hba_file": str(self.folder / "hba.conf"),
            "ident_file": str(self.folder / "ident.conf"),
            "archive_mode": "off",
            "autovacuum": "off",
            # Off, so that no change of a parameter on the primary can pause the replay; nobody reads meanwhile.
            "hot_standby": "off",
            "shared_preload_libraries": "",
            "ssl": "off",
            "fsync": "on" if self.durable else "off",
            "shared_buffers": f"{max(32, self.memory // 4)}MB",
            "maintenance_work_mem": f"{max(32, self.memory // 8)}MB",
            "lc_messages": "C",
            "timezone": "UTC",
            "log_line_prefix": "",
            "logging_collector": "off",
            "log_statement": "none",
            "log_min_error_statement": "panic",
            **control.settings(control.read(self.directory)),
            **recovery,
        }
        return "".join(f"{name} = {quoted(value)}\n" for name, value in settings.items())


def quoted(value: str) -> str:
    """As a value in postgresql.conf."""
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"
