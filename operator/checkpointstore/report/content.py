"""What a report holds: which objects, commands and queries, and how they are put into files."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.resources import files

import yaml

from ..kernel.action import Manifest
from .hide import clean

# Every kind that a store may have children of, Secrets by their keys alone.
KINDS = (
    "ConfigMap",
    "Deployment",
    "Endpoints",
    "Job",
    "NetworkPolicy",
    "PersistentVolumeClaim",
    "Pod",
    "PodDisruptionBudget",
    "ReplicaSet",
    "Role",
    "RoleBinding",
    "Secret",
    "Service",
    "ServiceAccount",
    "StatefulSet",
)
DATABASE = "app"
VOLUME = "/var/lib/postgresql/data"
LOG_BYTES = 2 * 1024 * 1024
OPERATOR = "app.kubernetes.io/name=checkpointstore-operator"
PATRONI = {
    "members.txt": ("list", "--extended", "--timestamp"),
    "history.txt": ("history",),
    "configuration.txt": ("show-config",),
}
# A report only looks, never stands in anybody's way, and runs no function that an application has made in public.
SESSION = (
    "-c pg_stat_statements.track=none -c default_transaction_read_only=on -c statement_timeout=10s -c lock_timeout=1s "
    "-c search_path=pg_catalog,pg_temp"
)
EXPORTER = "pgbouncer_"


class _Yaml(yaml.SafeDumper):
    """Texts of several lines, as configurations are, stay readable."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Yaml.add_representer(str, _text)


@dataclass(frozen=True, slots=True)
class Question:
    """A command in a container whose output becomes a file."""

    file: str
    command: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Log:
    """One life of one container."""

    pod: str
    container: str
    previous: bool

    @property
    def file(self) -> str:
        return f"{self.pod}/{self.container}{'.previous' if self.previous else ''}.log"


def questions() -> list[Question]:
    """What a PostgreSQL instance is asked, through its own socket and Patroni's command line."""
    asked = [
        Question(f"patroni/{name}", ("patronictl", "-c", "/etc/patroni/patroni.yml", *words))
        for name, words in PATRONI.items()
    ]
    volume = Question("postgres/volume.txt", ("df", "--human-readable", VOLUME))
    return [*asked, volume, *(Question(f"postgres/{name}.txt", (*psql(SESSION), text)) for name, text in queries())]


def psql(session: str) -> tuple[str, ...]:
    """The command to which a query is added, with libpq's `options` for its session."""
    login = f"host=/run/postgresql user=postgres dbname={DATABASE} application_name=report options='{session}'"
    return ("psql", "--no-psqlrc", "--no-password", "--pset=footer=off", "--dbname", login, "--command")


def queries() -> Iterator[tuple[str, str]]:
    """Name and text of each query, by name."""
    folder = files(__package__).joinpath("sql")
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        yield file.name.removesuffix(".sql"), file.read_text("utf-8")


def given_secret(store: Manifest) -> str:
    """The user's own Secret with the login of an external server; "" where there is none."""
    external = store.get("spec", {}).get("postgres", {}).get("external") or {}
    return str(external.get("secretRef", {}).get("name", ""))


def component(pod: Manifest) -> str:
    return str(pod["metadata"].get("labels", {}).get("app.kubernetes.io/component", ""))


def running(pod: Manifest, container: str) -> bool:
    """Whether a command can be run in the container, as far as its kubelet has told."""
    found = [status for status in _statuses(pod) if status["name"] == container]
    return any("running" in status.get("state", {}) for status in found)


def logs(pod: Manifest) -> list[Log]:
    """The logs that there can be: of each container that has started, and of its life before."""
    name = pod["metadata"]["name"]
    wanted = []
    for status in _statuses(pod):
        if status.get("state", {}).keys() & {"running", "terminated"}:
            wanted.append(Log(name, status["name"], previous=False))
        if "terminated" in status.get("lastState", {}):
            wanted.append(Log(name, status["name"], previous=True))
    return wanted


def _statuses(pod: Manifest) -> list[Manifest]:
    status = pod.get("status", {})
    return [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]


def nodes(pods: Iterable[Manifest]) -> list[str]:
    """The nodes that the pods run on."""
    return sorted({pod["spec"]["nodeName"] for pod in pods if pod["spec"].get("nodeName")})


def node(found: Manifest) -> Manifest:
    """A node without the list of every image that it ever pulled."""
    status = {key: value for key, value in found.get("status", {}).items() if key != "images"}
    return {**found, "status": status}


def manifest(found: Manifest) -> str:
    """An object as it is put into the archive."""
    return yaml.dump(clean(found), Dumper=_Yaml, sort_keys=False, width=120, allow_unicode=True)


def about(event: Manifest, store: str, children: Iterable[Manifest]) -> bool:
    """Whether an event is about the store or a child, also about one that is gone."""
    kind, name = event["involvedObject"].get("kind"), event["involvedObject"].get("name", "")
    if (kind, name) == ("CheckpointStore", store):
        return True
    known = {(child["kind"], child["metadata"]["name"]) for child in children}
    return (kind, name) in known or name.startswith((f"{store}-", f"data-{store}-"))


def events(found: Iterable[Manifest]) -> str:
    """One line an event, the newest last."""
    lines = []
    for event in found:
        when = event.get("lastTimestamp") or event.get("eventTime") or event["metadata"]["creationTimestamp"]
        regarding = f"{event['involvedObject'].get('kind')}/{event['involvedObject'].get('name')}"
        count = event.get("count") or 1
        times = f" ({count} times)" if count > 1 else ""
        what = f"{event.get('type', '')} {event.get('reason', '')} {regarding}: {event.get('message', '').strip()}"
        lines.append(f"{when} {what}{times}")
    return "".join(f"{line}\n" for line in sorted(lines))


def metrics(page: str) -> str:
    """The exporter's page without what it says about itself."""
    return "".join(line for line in page.splitlines(keepends=True) if EXPORTER in line)


def own_lines(log: str, namespace: str, store: str) -> str:
    """The operator's log without the lines that are about other stores."""
    return "".join(line for line in log.splitlines(keepends=True) if _store(line) in ("", f"{namespace}/{store}"))


def _store(line: str) -> str:
    """The store that a line of the operator's log is about; "" for none."""
    try:
        said = json.loads(line)
    except ValueError:
        return ""
    return str(said.get("store", "")) if isinstance(said, dict) else ""


def conditions(store: Manifest) -> str:
    """The conditions as a person reads them."""
    keys = ("type", "status", "lastTransitionTime", "reason", "message")
    rows: list[tuple[str, ...]] = [("CONDITION", "STATUS", "SINCE", "REASON", "MESSAGE")]
    for found in store.get("status", {}).get("conditions", ()):
        rows.append(tuple(str(found.get(key, "")) for key in keys))
    return table(rows)


def pods(found: Iterable[Manifest]) -> str:
    """The pods as `kubectl get pods` shows them, with the role that Patroni gave each."""
    rows: list[tuple[str, ...]] = [("POD", "PHASE", "READY", "RESTARTS", "ROLE", "NODE", "STARTED")]
    for pod in found:
        statuses, labels = pod.get("status", {}).get("containerStatuses", []), pod["metadata"].get("labels", {})
        rows.append(
            (
                pod["metadata"]["name"],
                pod.get("status", {}).get("phase", ""),
                f"{sum(bool(status.get('ready')) for status in statuses)}/{len(pod['spec']['containers'])}",
                str(sum(status.get("restartCount", 0) for status in statuses)),
                labels.get("checkpointstore.dev/role", "-"),
                pod["spec"].get("nodeName", "-"),
                pod.get("status", {}).get("startTime", "-"),
            )
        )
    return table(rows)


def versions(deployments: Iterable[Manifest], own: str) -> str:
    """Which operator runs, with which images, and which version made the report."""
    lines = [f"report made by checkpointstore {own}"]
    for found in deployments:
        meta = found["metadata"]
        version = meta.get("labels", {}).get("app.kubernetes.io/version", "unknown")
        lines.append(f"operator {meta['namespace']}/{meta['name']} {version}")
        for container in found["spec"]["template"]["spec"]["containers"]:
            lines.append(f"  {container['name']}: {container['image']}")
            variables = container.get("env", ())
            lines += [f"  {each['name']}: {each.get('value', '')}" for each in variables if "_IMAGE_" in each["name"]]
    return "".join(f"{line}\n" for line in lines)


def table(rows: Iterable[tuple[str, ...]]) -> str:
    """Columns as wide as their longest value, the last one aside."""
    listed = list(rows)
    widths = [max(len(row[column]) for row in listed) for column in range(len(listed[0]) - 1)]
    padded = (zip((*widths, 0), row, strict=True) for row in listed)
    return "".join("  ".join(f"{text:<{width}}" for width, text in row).rstrip() + "\n" for row in padded)
