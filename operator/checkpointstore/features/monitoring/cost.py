"""What a store costs a month: what it holds, times what that costs, told as `status.cost`."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Context, Decimal
from typing import Any

from ...kernel.action import Manifest
from ...kernel.contribution import Contribution
from ...kernel.env import Env
from ...kernel.observed import Observed
from ...kernel.values import moment, quantity
from .price import LISTS, NAMES, OF_COLD, Cost

HOURS = 730
"""In a month, as the clouds' own calculators have it."""
COMPUTE, VOLUMES, BACKUPS, COLD, BLOBS = "compute", "volumes", "backups", "coldData", "blobs"
PARTS = (COMPUTE, VOLUMES, BACKUPS, BLOBS, COLD)
WITHOUT = "withoutTiering"
HOLDS = timedelta(minutes=10)
WRITES, READS = 2, 1
"""Requests by which pgBackRest archives a file of WAL: it lists, reads archive.info and puts the file."""
# Of a week, as its days differ. Where two backups are closer than an hour, most files are the backups' own.
SHORT, LONG = timedelta(hours=1), timedelta(days=8)
_GIB = Decimal(1024**3)
_TWO_DIGITS, _CENT, _FEW_CENTS = Context(prec=2), Decimal("0.01"), Decimal("0.1")


@dataclass(frozen=True, slots=True)
class Tiered:
    """What tiering has moved to an object store."""

    cold: Mapping[str | None, Decimal] | None
    """GiB of objects by storage class, the bucket's own where None; None where nobody tells."""
    hot: Decimal | None
    """GiB that what is in them would take in the tables of an instance, about; None where nobody tells."""
    instances: int
    """That would have it on their volumes; none of an external server, whose volumes are not paid for here."""
    cpu: Decimal = Decimal(0)
    """vCPUs that the recaller requests."""
    memory: Decimal = Decimal(0)
    """GiB, likewise."""
    writes: Decimal = Decimal(0)
    """Requests of its Jobs in a month that write or list; 0 while nobody can tell."""
    reads: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Holdings:
    """What is paid for."""

    cpu: Decimal
    """vCPUs that pods request, and their nodes keep for them."""
    memory: Decimal
    """GiB, likewise."""
    volumes: Decimal
    """GiB that volumes were made with."""
    used: Decimal | None
    """GiB of them that hold something; None where nobody tells."""
    backups: Decimal | None
    """GiB in the repository; None where nobody tells."""
    archived: Decimal | None
    """Files of WAL that are archived in a month; None where nobody tells."""
    tiered: Tiered | None = None
    """None without spec.tiering."""
    blobs: Decimal | None = Decimal(0)
    """GiB of values outside; None where nobody tells."""

    @property
    def cold(self) -> Mapping[str | None, Decimal] | None:
        """GiB of cold data by storage class; None where nobody tells."""
        return self.tiered.cold if self.tiered else {}

    def without_tiering(self) -> "Holdings | None":
        """What would be paid for if what is cold were on all instances' volumes; None where nobody tells that."""
        tier = self.tiered
        if tier is None or tier.hot is None or not tier.instances:
            return None
        volumes = self.volumes + tier.hot * tier.instances
        return replace(self, cpu=self.cpu - tier.cpu, memory=self.memory - tier.memory, volumes=volumes, tiered=None)


@dataclass(frozen=True, slots=True)
class Line:
    """Something of the bill, so many of a unit."""

    part: str
    quantity: Decimal
    unit: str
    price: Decimal
    """Of one unit for a month."""

    @property
    def amount(self) -> Decimal:
        return self.quantity * self.price


def lines(held: Holdings, spec: Cost) -> tuple[Line, ...]:
    """The bill of a month, without what there is nothing of or nobody tells of.

    Where a class of cold data has no price there is no line of any.
    """
    cpu, memory, volume, stored, writes, reads = (Decimal(price) for price in spec.all_prices().given().values())
    archived = (held.archived or Decimal(0)) / 1000
    bill = (
        Line(COMPUTE, held.cpu, "vCPU", cpu * HOURS),
        Line(COMPUTE, held.memory, "GiB of memory", memory * HOURS),
        Line(VOLUMES, held.volumes, "GiB of volumes", volume),
        Line(BACKUPS, held.backups or Decimal(0), "GiB of backups", stored),
        Line(BACKUPS, archived * WRITES, "thousand writes", writes),
        Line(BACKUPS, archived * READS, "thousand reads", reads),
        Line(BLOBS, held.blobs or Decimal(0), "GiB of values outside", stored),
    )
    more = () if unpriced(held, spec) or not held.tiered else _cold(held.tiered, spec, writes, reads)
    return tuple(line for line in (*bill, *more) if line.quantity)


def unpriced(held: Holdings, spec: Cost) -> list[str]:
    """Storage classes of cold data that have no price."""
    return [name for name, size in (held.cold or {}).items() if name and size and spec.of_cold(name) is None]


def _cold(tier: Tiered, spec: Cost, writes: Decimal, reads: Decimal) -> Iterator[Line]:
    for name, size in (tier.cold or {}).items():
        unit = f"GiB of cold data in {name}" if name else "GiB of cold data"
        yield Line(COLD, size, unit, Decimal(spec.of_cold(name) or 0))
    yield Line(COLD, tier.writes / 1000, "thousand writes of tiering", writes)
    yield Line(COLD, tier.reads / 1000, "thousand reads of tiering", reads)


def _asked(told: Mapping[str, Any]) -> tuple[Decimal, Decimal]:
    """Requests of a month that write or list, and that read, at the pace of those in status.tiering."""
    asked = told.get("requests")
    if not asked or not told.get("lastSuccessful"):
        return Decimal(0), Decimal(0)
    time = datetime.fromisoformat(told["lastSuccessful"]) - datetime.fromisoformat(asked["since"])
    if time < SHORT:
        return Decimal(0), Decimal(0)
    month = Decimal(HOURS * 3600) / int(time.total_seconds())
    return asked["writes"] * month, asked["reads"] * month


def tiered(env: Env, desired: Iterable[Manifest], told: Mapping[str, Any], instances: int) -> Tiered:
    """Of the objects that shall be, and status.tiering."""
    # A dry run does not look at what is cold.
    tiers, totals = None if told.get("dryRun") else told.get("tiers"), told.get("totals")
    sizes: dict[str | None, Decimal] | None = None
    hot = None
    if tiers is not None:
        sizes = defaultdict(Decimal)
        for tier in tiers:
            sizes[tier.get("storageClass")] += Decimal(tier["bytes"]) / _GIB
        size = sum(sizes.values(), Decimal(0))
        if totals:
            hot = size * totals["movedBytes"] / totals["objectBytes"]
        elif not size:
            hot = size
    recaller = [
        item for item in desired if item["kind"] == "Deployment" and item["metadata"]["name"] == env.names.recaller
    ]
    cpu, memory = _requested(recaller, "cpu"), _requested(recaller, "memory") / _GIB
    return Tiered(sizes, hot, instances, cpu, memory, *_asked(told))


def holdings(
    env: Env,
    observed: Observed,
    desired: Iterable[Manifest],
    backup: Mapping[str, Any] | None,
    cold: Tiered | None = None,
    blobs: Mapping[str, Any] | None = None,
) -> Holdings:
    """Of the objects that shall be, the volumes that are, and status.backup and status.blobs, None for a store without
    these."""
    workloads = [item for item in desired if item["kind"] in ("StatefulSet", "Deployment")]
    sizes = _volumes(env, observed, workloads)
    stored = 0 if backup is None else backup.get("repositoryBytes")
    outside = 0 if blobs is None else blobs.get("bytes")
    hourly = Decimal(0) if backup is None else _archived(observed, str(backup["repository"]))
    return Holdings(
        cpu=_requested(workloads, "cpu"),
        memory=_requested(workloads, "memory") / _GIB,
        volumes=sum(sizes.values(), Decimal(0)) / _GIB,
        used=_used(env, observed, sizes),
        backups=None if stored is None else stored / _GIB,
        archived=None if hourly is None else hourly * HOURS,
        tiered=cold,
        blobs=None if outside is None else outside / _GIB,
    )


def _requested(workloads: Iterable[Manifest], resource: str) -> Decimal:
    total = Decimal(0)
    for item in workloads:
        for container in item["spec"]["template"]["spec"]["containers"]:
            resources = container["resources"]
            # A limit without a request is one.
            amounts = {**resources.get("limits", {}), **resources.get("requests", {})}
            total += item["spec"]["replicas"] * quantity(amounts.get(resource, 0))
    return total


def _volumes(env: Env, observed: Observed, workloads: Iterable[Manifest]) -> dict[str, Decimal]:
    """Bytes by claim: those that are there, those of instances that are gone among them, and those that will be."""
    sizes = {
        env.names.volume(ordinal): quantity(template["spec"]["resources"]["requests"]["storage"])
        for item in workloads
        for template in item["spec"].get("volumeClaimTemplates", ())
        for ordinal in range(item["spec"]["replicas"])
    }
    for claim in observed.all("PersistentVolumeClaim"):
        has = claim.get("status", {}).get("capacity") or claim["spec"]["resources"]["requests"]
        sizes[claim["metadata"]["name"]] = quantity(has["storage"])
    return sizes


def _used(env: Env, observed: Observed, sizes: Mapping[str, Decimal]) -> Decimal | None:
    told = {env.names.volume_of(pod): volume for pod, volume in observed.volumes.items()}
    if sizes.keys() - told.keys():
        return None
    # A file system is larger than its volume where that is a folder of the node.
    filled = (min(size, Decimal(told[name].size - told[name].free)) for name, size in sizes.items())
    return sum(filled, Decimal(0)) / _GIB


def _archived(observed: Observed, place: str) -> Decimal | None:
    """Files of WAL an hour between two backups in a repository, the newest and one of the week before it."""
    told = (item.get("status", {}) for item in observed.all("CheckpointBackup"))
    done = sorted(
        (datetime.fromisoformat(status["startedAt"]), _number(status["beginWAL"]))
        for status in told
        if status.get("phase") == "Completed" and status["repository"] == place
    )
    for at, number in done:
        if SHORT <= (time := done[-1][0] - at) <= LONG:
            return Decimal(max(0, done[-1][1] - number)) * 3600 / int(time.total_seconds())
    return None


def _number(name: str) -> int:
    """Of a file of WAL, 16 MiB each, on whatever timeline."""
    return int(name[8:16], 16) * 256 + int(name[16:24], 16)


def contribute(spec: Cost, held: Holdings, previous: Mapping[str, Any], now: datetime) -> Contribution:
    """`previous` is status.cost as it was."""
    tier = held.tiered
    bill, without_price = lines(held, spec), unpriced(held, spec)
    quantities = ", ".join(f"{two_digits(line.quantity)} {line.unit}" for line in bill)
    all_hot = held.without_tiering()
    unknown = {
        "empty": held.used is None,
        BACKUPS: held.backups is None,
        "requests": held.archived is None,
        COLD: held.cold is None or bool(without_price),
        BLOBS: held.blobs is None,
        WITHOUT: all_hot is None and tier is not None and tier.instances > 0,
    }
    lacking = f"; no price of class {', '.join(without_price)}: set prices.{OF_COLD}" if without_price else ""
    amounts = {"monthly": _sum(bill), WITHOUT: None if all_hot is None else _sum(lines(all_hot, spec))}
    told: dict[str, Any] = {
        **amounts,
        "shown": {name: amount and f"{amount} {spec.currency}" for name, amount in amounts.items()},
        "currency": spec.currency,
        **{part: _sum(of) if (of := [line for line in bill if line.part == part]) else None for part in PARTS},
        "unknown": [name for name, so in unknown.items() if so] or None,
        "why": f"{quantities or 'nothing yet'}; {_whose(spec, held)}{lacking}",
    }
    return Contribution(status={"cost": {**told, **_settled(told, empty(bill, held.used), previous, now)}})


def empty(bill: Iterable[Line], used: Decimal | None) -> Decimal | None:
    """What the part of the volumes costs that holds nothing; None where nobody tells, or there are none."""
    if used is None:
        return None
    return next(((line.quantity - used) * line.price for line in bill if line.part == VOLUMES), None)


def without(previous: Mapping[str, Any]) -> Contribution:
    """Nobody wants to know: what was told is taken back. `previous` is the store's status as it was."""
    return Contribution(status={"cost": None}) if previous.get("cost") else Contribution()


def _whose(spec: Cost, held: Holdings) -> str:
    given, listed = len(spec.prices.given()), LISTS[spec.cloud]
    lists = f"list prices of {spec.cloud} {listed.region}, {listed.known}"
    own = spec.prices.cold_gib_month is not None
    if not given and not own:
        return lists
    needed = any(spec.listed(name) for name in held.cold or {}) and not own
    return "prices of the spec" if given == len(NAMES) and not needed else f"prices of the spec, the others {lists}"


def _settled(
    told: Mapping[str, Any], amount: Decimal | None, previous: Mapping[str, Any], now: datetime
) -> dict[str, Any]:
    """What is empty changes all the time: it is told anew after ten minutes, or with other volumes and prices."""
    before, at = previous.get("empty"), previous.get("measured")
    after = None if amount is None else two_digits(amount)
    same = all(previous.get(name) == told[name] for name in (VOLUMES, "currency"))
    if before == after or (before and after and same and now - datetime.fromisoformat(str(at)) < HOLDS):
        return {"empty": before, "measured": at}
    return {"empty": after, "measured": None if after is None else moment(now)}


def _sum(bill: Iterable[Line]) -> str:
    return two_digits(sum((line.amount for line in bill), Decimal(0)))


def two_digits(number: Decimal) -> str:
    """As 0.52, 5.2, 52 or 520; nothing is finer than a cent."""
    rounded = number.quantize(_CENT) if number < _FEW_CENTS else _TWO_DIGITS.plus(number)
    return f"{rounded.normalize():f}"
