"""Looks at the load of every pooler that follows it, and wakes a store when another size, or another limit, is due.

What it decided is a fact for the store's next pass, which alone changes anything. It asks Prometheus, never the API
server but for the Secrets that a spec names; it forgets nothing that a restart would make dangerous to forget: a new
operator goes on with the size in the status, and waits anew before it shrinks.
"""

import asyncio
import base64
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from ..adapters import prometheus
from ..adapters.kube import Kube
from ..adapters.prometheus import Access
from ..features.pooler.decision import State, decide
from ..features.pooler.load import MISSING, Gap, Load, read, selector
from ..features.pooler.scaling import Watch
from ..features.pooler.spec import PrometheusServer
from ..kernel.errors import Refused, StoreError, Unavailable
from ..kernel.observed import Scale
from .log import STORE

PERIOD = 5.0
SERVER = '1 - avg(rate(node_cpu_seconds_total{{mode="idle",namespace="{namespace}",pod="{pod}"}}[2m]))'
KEPT = 60.0
"""Seconds for which a Secret's values are not read again."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Known:
    access: Access
    server: PrometheusServer
    until: float


class Autoscaler:
    """What has been decided about each pooler, by store."""

    def __init__(self, kube: Kube, changed: Callable[[str], None]) -> None:
        self._kube = kube
        self._changed = changed
        self._watched: dict[str, Watch] = {}
        self._states: dict[str, State] = {}
        self._accesses: dict[str, _Known] = {}
        self._seen: dict[str, Watch] = {}
        """What each state was decided on."""

    def watch(self, who: str, order: Watch | None) -> None:
        """From now on look after the pooler of `who`, or after none of it any more."""
        if order is not None:
            self._watched[who] = order
            return
        for known in (self._watched, self._states, self._accesses, self._seen):
            known.pop(who, None)

    def clear(self) -> None:
        """Look after nothing any more."""
        for who in tuple(self._watched):
            self.watch(who, None)

    def scale(self, who: str) -> Scale | None:
        """What was decided last; None before the first look."""
        state = self._states.get(who)
        if state is None:
            return None
        return Scale(
            state.size.instances, state.size.connections, state.changed, state.why, state.reason, state.message
        )

    async def keep(self) -> None:
        looks: dict[str, asyncio.Task[None]] = {}
        while True:
            # A Prometheus that is slow keeps nobody else waiting.
            looks = {who: task for who, task in looks.items() if not task.done()}
            for who, order in self._watched.items():
                if who not in looks:
                    looks[who] = asyncio.create_task(self._look(who, order))
            await asyncio.sleep(PERIOD)

    async def _look(self, who: str, order: Watch) -> None:
        STORE.set(who)
        state = self._states.get(who) or State(order.given, order.changed, order.why)
        if state.size != order.given:
            if order == self._seen.get(who) or not order.settled:
                # The store has not taken it up yet, or is at it.
                return
            # The spec, or the server's budget, allows something else.
            state = replace(state, size=order.given)
        try:
            load = await self._load(who, order)
        except Exception:  # noqa: BLE001 - a fault in one look must not end the looks at every store
            _log.exception("cannot tell the load")
            load = Gap("SamplesContradictory", "What Prometheus says cannot be read; the operator's log has more")
        if self._watched.get(who) != order:
            return
        after = decide(load, state, order.rules, time.time())
        before = self._states.get(who)
        self._states[who], self._seen[who] = after, order
        if before is None or (before.size, before.reason, before.message) != (after.size, after.reason, after.message):
            told = {"size": after.size.text, "why": after.why, "limit": after.reason, "load": str(load)}
            _log.info("decided", extra=told)
            self._changed(who)

    async def _load(self, who: str, order: Watch) -> Load | Gap:
        pods = sorted(order.pods)
        if len(pods) < order.given.instances:
            return Gap(MISSING, f"{len(pods)} of {order.given.instances} pooler pods are ready")
        try:
            access = await self._access(who, order)
            found = await prometheus.samples(access, selector(order.namespace, pods))
            load = read(found, pods, time.time())
            if isinstance(load, Load) and order.primary:
                query = SERVER.format(namespace=order.namespace, pod=order.primary)
                load = replace(load, server=await prometheus.value(access, query))
        except Unavailable as error:
            return Gap("PrometheusUnreachable", error.message)
        except Refused as error:
            return Gap(error.reason, error.message)
        except StoreError as error:
            return Gap("PrometheusUnreachable", error.message)
        return load

    async def _access(self, who: str, order: Watch) -> Access:
        """Raises Refused("SecretIncomplete") naming what a Secret lacks, or what reading it raises."""
        known = self._accesses.get(who)
        if known and known.server == order.server and known.until > time.monotonic():
            return known.access
        server, secrets = order.server, {}
        for name in server.secrets():
            secret = await self._kube.get("Secret", order.namespace, name)
            if secret is None:
                raise Refused("SecretMissing", f"Secret {name} is not in this namespace")
            secrets[name] = {
                key: base64.b64decode(value).decode(errors="replace")
                for key, value in (secret.get("data") or {}).items()
            }
        access = _opened(server, secrets)
        self._accesses[who] = _Known(access, server, time.monotonic() + KEPT)
        return access


def _opened(server: PrometheusServer, secrets: Mapping[str, Mapping[str, str]]) -> Access:
    access = Access(server.url)
    if server.tls:
        ca = secrets[server.tls.ca.name].get(server.tls.ca.key, "")
        if not ca:
            raise Refused("SecretIncomplete", f"Secret {server.tls.ca.name} lacks {server.tls.ca.key}")
        access = replace(access, ca=ca)
    if server.auth:
        name = server.auth.secret_ref.name
        keys = {key: text.rstrip("\r\n") for key, text in secrets[name].items()}
        if token := keys.get("token"):
            return replace(access, token=token)
        if not keys.get("username") or not keys.get("password"):
            raise Refused("SecretIncomplete", f"Secret {name} lacks token, or username and password")
        access = replace(access, login=(keys["username"], keys["password"]))
    return access
