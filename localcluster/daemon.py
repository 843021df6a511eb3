"""Starts the cluster's programs in the background, knows which of them live, and stops them."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from localcluster.command import lines
from localcluster.errors import CommandFailed, LocalClusterError
from localcluster.layout import CGROUP, LOGS, MARK, STATE, Node

RECORDS = STATE / "daemons"
CGROUPS = Path("/sys/fs/cgroup")
BOOT = Path("/proc/sys/kernel/random/boot_id")
# All of them are written in Go: on one machine the processors are what they lack, and not memory.
SETTINGS = {"GOGC": "400"}

# Seconds.
SETTLING = 2.0

# The shell writes down its own pid and start time, then becomes the program: a program without a record cannot be.
LAUNCH = 'cat /proc/$$/stat >"$0" && exec "$@"'


@dataclass(frozen=True)
class Daemon:
    """A program to run for ever: its name, its command line, and the node whose network it lives in.

    What others may not see on its command line comes from a file of `NAME=value` lines, into its environment.
    """

    name: str
    argv: tuple[str, ...]
    node: Node
    environment: Path | None = None

    @property
    def record(self) -> Path:
        return RECORDS / self.name

    @property
    def log(self) -> Path:
        return LOGS / f"{self.name}.log"

    def command(self) -> list[str]:
        """The whole command line. `ip netns exec` is no choice: it mounts a new /sys, which hides the cgroups."""
        inside = [] if self.node.is_host else ["nsenter", f"--net=/run/netns/{self.node.namespace}", "--"]
        return ["sh", "-c", LAUNCH, str(self.record), *inside, *self.argv]


@dataclass(frozen=True)
class Process:
    """A process by what no other one ever shares: its pid and the clock ticks from boot to its start."""

    pid: int
    started: int


def parse_stat(text: str) -> tuple[Process, str]:
    """A line of /proc/PID/stat as the process and its state letter; the name in it may hold anything."""
    head, _, tail = text.rpartition(")")
    fields = tail.split()
    return Process(int(head.split(" ", 1)[0]), int(fields[19])), fields[0]


def current(pid: int) -> Process | None:
    """The process that now has this pid, if it runs."""
    try:
        process, state = parse_stat(Path(f"/proc/{pid}/stat").read_text())
    except (OSError, ValueError, IndexError):
        return None
    return None if state == "Z" else process


def recorded(record: Path) -> Process | None:
    """The process of a record, if it still runs."""
    try:
        process, _ = parse_stat(record.read_text())
    except (OSError, ValueError, IndexError):
        return None
    return process if current(process.pid) == process else None


def lives(daemon: Daemon) -> bool:
    """Whether the daemon that was started last under this name still runs."""
    return recorded(daemon.record) is not None


def start(daemon: Daemon) -> None:
    """Start it if it does not run, as the leader of its own session, printing into its log.

    One that runs is let go on: whoever stopped it, to see what a program that hangs does, may be gone.
    """
    if process := recorded(daemon.record):
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGCONT)
        return
    RECORDS.mkdir(parents=True, exist_ok=True)
    LOGS.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, **SETTINGS, **variables(daemon.environment), MARK: daemon.name}
    environment.pop("KUBECONFIG", None)
    with daemon.log.open("ab") as log:
        subprocess.Popen(
            daemon.command(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env=environment,
            start_new_session=True,
        )


def variables(path: Path | None) -> dict[str, str]:
    """What a file of `NAME=value` lines says; nothing without a file."""
    return dict(line.split("=", 1) for line in lines(path.read_text())) if path else {}


def wait(what: str, ready: Callable[[], bool], needed: Iterable[Daemon], seconds: float) -> None:
    """Wait until `ready`; raises at once when a needed daemon ends a second time, else after `seconds`."""
    deadline = time.monotonic() + seconds
    # A daemon's record appears a moment after its start.
    settled = time.monotonic() + SETTLING
    needed, restarted = list(needed), set[str]()
    while not holds(ready):
        dead = [daemon for daemon in needed if time.monotonic() > settled and not lives(daemon)]
        # Kubelets of one host bind one socket when they start, whatever their folders: two that do so at once fail.
        if dead and dead[0].name not in restarted:
            restarted.add(dead[0].name)
            start(dead[0])
            settled = time.monotonic() + SETTLING
        elif dead:
            tail = dead[0].log.read_text(errors="replace").splitlines()[-8:] if dead[0].log.exists() else []
            raise LocalClusterError(f"{dead[0].name} ended; its log {dead[0].log} says:\n    " + "\n    ".join(tail))
        if time.monotonic() > deadline:
            raise LocalClusterError(f"{what}: not so after {seconds:.0f} s; the logs are in {LOGS}.")
        time.sleep(0.2)


def holds(ready: Callable[[], bool]) -> bool:
    """The answer, or no while the question itself fails: under load the API server is slow, not gone."""
    try:
        return ready()
    except CommandFailed:
        return False


def ours(node: Node | None = None) -> set[Process]:
    """Every process of the cluster or of one node: recorded, marked in its environment, or in our cgroups."""
    prefix, group = (f"{node.name}-", node.cgroup) if node else ("", CGROUP)
    found = {process for record in RECORDS.glob(f"{prefix}*") if (process := recorded(record))}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and is_marked(folder, prefix) and (process := current(int(folder.name))):
            found.add(process)
    for listing in members(group):
        try:
            pids = listing.read_text().split()
        except OSError:
            continue
        found |= {process for pid in pids if (process := current(int(pid)))}
    return {process for process in found if process.pid != os.getpid()}


def members(group: str) -> Iterator[Path]:
    """The process lists of a control group and all below it, in every tree; groups go with their pods meanwhile."""
    for tree in (CGROUPS, *(path for path in CGROUPS.iterdir() if path.is_dir())):
        for folder, _, files in os.walk(tree / group):
            if "cgroup.procs" in files:
                yield Path(folder, "cgroup.procs")


def is_marked(folder: Path, prefix: str = "") -> bool:
    """Whether the process of this /proc folder is a daemon of ours so named, or comes from one, as shims do."""
    try:
        environment = (folder / "environ").read_bytes()
    except OSError:
        return False
    return any(entry.startswith(f"{MARK}={prefix}".encode()) for entry in environment.split(b"\0"))


def is_misplaced(daemon: Daemon) -> bool:
    """Whether it runs in a network namespace that is no longer its node's: deleted, and made anew under it."""
    if daemon.node.is_host or (process := recorded(daemon.record)) is None:
        return False
    try:
        inside = Path(f"/proc/{process.pid}/ns/net").stat().st_ino
        return inside != Path("/run/netns", daemon.node.namespace).stat().st_ino
    except FileNotFoundError:
        return True


def stop_all(node: Node | None = None, patience: float = 20.0) -> int:
    """Kill every process of the cluster, or of one node with its pods; returns how many there were."""
    seen: set[Process] = set()
    deadline = time.monotonic() + patience
    while remaining := ours(node):
        seen |= remaining
        for process in remaining:
            kill(process)
        if time.monotonic() > deadline:
            pids = ", ".join(str(process.pid) for process in remaining)
            raise LocalClusterError(f"processes {pids} do not end, even by force; see `ps`, then run `down` again.")
        time.sleep(0.05)
    return len(seen)


def kill(process: Process) -> None:
    """Kill it if its pid is still its own."""
    if current(process.pid) == process:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
