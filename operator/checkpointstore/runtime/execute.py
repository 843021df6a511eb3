"""The only place that acts: one `match` over the plan's actions."""

import asyncio
import base64
import datetime as dt
import logging
import re
import secrets
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import quote

from ..adapters import certificate, patroni, pgbouncer
from ..adapters.kube import Kube
from ..api.store import Store
from ..kernel import scram
from ..kernel.action import (
    Acknowledge,
    Action,
    Admit,
    Apply,
    Delete,
    Emit,
    GeneratePassword,
    Grow,
    Hold,
    IssueAuthority,
    IssueCertificate,
    Manifest,
    Mark,
    Program,
    Publish,
    PublishGiven,
    PublishPooler,
    PublishRepository,
    Rebalance,
    Ref,
    Reload,
    Restart,
    Resume,
    RotateAuthority,
    RotatePassword,
    Stage,
    Switchover,
    Tell,
)
from ..kernel.errors import Conflict, Refused, Terminating, Unavailable
from ..kernel.manifest import ref
from ..kernel.naming import ADMITS, NO, ROTATION, SINCE, YES
from ..kernel.object_store import ACCESS_KEY, SECRET_KEY, TOKEN
from ..kernel.values import moment
from .observe import DIGEST, digest, owned

COMPONENT = "checkpointstore-operator"
MOMENT, HOLD = 0.1, 10.0
# Patroni may have made our Endpoints before us, and a volume survives its store.
UNOWNED = frozenset({"Endpoints", "PersistentVolumeClaim"})
ORDERS = (Rebalance, Reload, Restart, Resume, Switchover)
"""What one pod is asked to do: while it does not, everything else goes on."""
CERTIFICATES = re.compile(rb"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----\n?")
_log = logging.getLogger(__name__)


async def execute(kube: Kube, store: Store, actions: tuple[Action, ...]) -> frozenset[Ref]:
    """Carry out a plan: secrets in order, as each may need the one before it, then objects side by side.

    Returns the names that turned out to be another's. What one action is refused does not keep the others from
    being done; the first refusal is raised at the end. Raises StoreError.
    """
    taken: set[Ref] = set()
    refusals: list[Refused] = []
    for action in actions:
        if not isinstance(action, Apply):
            try:
                await _step(kube, store, action, taken)
            except Refused as error:
                refusals.append(error)
            except Unavailable as error:
                if not isinstance(action, ORDERS):
                    raise
                # The next look sees that it was not obeyed, and asks again.
                _log.warning("not obeyed: %s", error)
    applies = [action for action in actions if isinstance(action, Apply)]
    # A binding to a role that is not there yet is refused, as nobody can tell whether it grants too much.
    roles = [action for action in applies if action.manifest["kind"] == "Role"]
    rest = [action for action in applies if action not in roles]
    failures: list[BaseException] = [*refusals]
    for group in (roles, rest):
        results = await asyncio.gather(
            *(_apply(kube, store, action, taken) for action in group), return_exceptions=True
        )
        failures += [result for result in results if isinstance(result, BaseException)]
    for failure in sorted(failures, key=lambda failure: isinstance(failure, Refused)):
        raise failure
    return frozenset(taken)


async def _step(kube: Kube, store: Store, action: Action, taken: set[Ref]) -> None:
    match action:
        case Delete(target):
            await kube.delete(target.kind, store.namespace, target.name)
        case IssueAuthority(secret, common_name, rotation):
            pem, key = certificate.authority(common_name)
            meta = {**secret["metadata"], "annotations": {ROTATION: rotation}}
            await _create(kube, {**secret, "metadata": meta}, {"ca.crt": pem, "ca.key": key, "trust.crt": pem}, taken)
        case RotateAuthority():
            await _rotate_authority(kube, store, action)
        case IssueCertificate():
            await _issue(kube, store, action)
        case GeneratePassword(secret, username):
            password = secrets.token_urlsafe(32)
            await _create(kube, secret, {"username": username.encode(), "password": password.encode()}, taken)
        case PublishPooler():
            await _publish_pooler(kube, store, action, taken)
        case PublishRepository():
            await _publish_repository(kube, store, action, taken)
        case Tell(target, status):
            await kube.merge(target.kind, store.namespace, target.name, {"status": status}, "status")
        case Publish():
            await _publish(kube, store, action, taken)
        case PublishGiven():
            await _publish_given(kube, store, action, taken)
        case Switchover():
            await _switchover(kube, store, action)
            await _step(kube, store, action.told, taken)
        case Resume(pooler, database, admin):
            await pgbouncer.resume(pooler, database, await _secret(kube, store, admin))
        case Admit(pod, admits):
            await kube.merge("Pod", store.namespace, pod, {"metadata": {"labels": {ADMITS: YES if admits else NO}}})
        case Rebalance(pooler, database, admin, most, since, told):
            if await pgbouncer.rebalance(pooler, database, most, since, await _secret(kube, store, admin)):
                await _step(kube, store, told, taken)
        case RotatePassword(secret, username, rotation):
            data = {"username": username.encode(), "password": secrets.token_urlsafe(32).encode()}
            change = {"metadata": {"annotations": {ROTATION: rotation}}, "data": encoded(data)}
            await kube.merge("Secret", store.namespace, secret, change)
        case Reload(program, pod, at, admin, (key, value)):
            await kube.merge("Pod", store.namespace, pod, {"metadata": {"annotations": {key: value}}})
            reload = patroni.reload if program is Program.PATRONI else pgbouncer.reload
            await reload(at, await _secret(kube, store, admin))
        case Restart(at, admin, hold, told):
            key_ = await _secret(kube, store, admin)
            async with _held(hold, key_):
                restarted = await patroni.restart(at, key_)
            if restarted:
                await _step(kube, store, told, taken)
        case Acknowledge(annotation):
            gone = {"metadata": {"annotations": {annotation: None}}}
            await kube.merge("CheckpointStore", store.namespace, store.name, gone)
        case Mark(finalizer, present):
            await mark(kube, store.body, finalizer, present)
        case Grow(claims, size, statefulset, told):
            grown = {"spec": {"resources": {"requests": {"storage": size}}}}
            for claim in claims:
                await kube.merge("PersistentVolumeClaim", store.namespace, claim, grown)
            await kube.delete("StatefulSet", store.namespace, statefulset, orphan=True)
            await emit(kube, store.body, told.type, told.reason, told.message)
        case Emit(type_, reason, message):
            await emit(kube, store.body, type_, reason, message)


async def mark(kube: Kube, body: Mapping[str, Any], finalizer: str, present: bool) -> None:
    """Others' finalizers stay: the list is one value, so it is written as it was read or not at all."""
    meta = body["metadata"]
    others = [name for name in meta.get("finalizers", ()) if name != finalizer]
    wanted = [*others, finalizer] if present else others
    change = {"metadata": {"finalizers": wanted, "resourceVersion": meta["resourceVersion"]}}
    try:
        await kube.merge("CheckpointStore", meta["namespace"], meta["name"], change)
    except Conflict:
        raise Unavailable("the store has changed meanwhile") from None


async def _switchover(kube: Kube, store: Store, action: Switchover) -> None:
    """Until the next one leads; clients wait no longer than HOLD. Raises Unavailable when it does not."""
    key = await _secret(kube, store, action.admin)
    asked = asyncio.create_task(patroni.switchover(action.at, action.leader, action.target, key))
    try:
        async with _held(action.hold, key):
            end = time.monotonic() + HOLD
            while not (led := await patroni.leads(action.address)) and not asked.done() and time.monotonic() < end:
                await asyncio.sleep(MOMENT)
        if asked.done():
            asked.result()
        elif not led:
            raise Unavailable(f"{action.target} does not lead {HOLD:.0f} s after {action.leader} was asked")
    finally:
        asked.cancel()


@asynccontextmanager
async def _held(hold: Hold, key: Mapping[str, bytes]) -> AsyncIterator[None]:
    """Clients of the poolers wait; one whose console does not answer fails its clients, as it would without."""
    try:
        await asyncio.gather(*(pgbouncer.pause(at, hold.database, key) for at in hold.poolers), return_exceptions=True)
        yield
    finally:
        resumed = (pgbouncer.resume(at, hold.database, key) for at in hold.poolers)
        await asyncio.gather(*resumed, return_exceptions=True)


async def _apply(kube: Kube, store: Store, action: Apply, taken: set[Ref]) -> None:
    target = ref(action.manifest)
    if action.new and await _anothers(kube, store, target):
        taken.add(target)
        return
    await kube.apply(action.manifest)


async def _anothers(kube: Kube, store: Store, target: Ref) -> bool:
    """Whether an object of that name is not ours."""
    live = await kube.get(target.kind, store.namespace, target.name)
    return live is not None and target.kind not in UNOWNED and not owned(live, store.uid)


async def _create(kube: Kube, secret: Manifest, data: Mapping[str, bytes], taken: set[Ref]) -> None:
    """Create a Secret that is made once; when somebody was faster, the next look says whose it is."""
    try:
        await kube.create({**secret, "data": encoded(data)})
    except Conflict:
        taken.add(ref(secret))


async def _issue(kube: Kube, store: Store, action: IssueCertificate) -> None:
    ca = await _secret(kube, store, action.authority)
    pem, key = certificate.leaf(ca["ca.crt"], ca["ca.key"], action.common_name, action.dns_names)
    await kube.apply({**action.secret, "data": encoded({"tls.crt": pem, "tls.key": key, "ca.crt": ca["trust.crt"]})})


async def _rotate_authority(kube: Kube, store: Store, action: RotateAuthority) -> None:
    """One patch a stage, so that a killed operator leaves the Secret before it or after it."""
    ca = await _secret(kube, store, action.secret)
    data: dict[str, str | None]
    match action.stage:
        case Stage.INTRODUCE:
            pem, key = certificate.authority(action.common_name)
            data = {**encoded({"next.crt": pem, "next.key": key, "trust.crt": ca["ca.crt"] + pem})}
        case Stage.SWITCH:
            new = encoded({"ca.crt": ca["next.crt"], "ca.key": ca["next.key"]})
            data = {**new, "next.crt": None, "next.key": None}
        case Stage.RETIRE:
            data = {**encoded({"trust.crt": ca["ca.crt"]})}
    marks = {ROTATION: action.rotation, SINCE: dt.datetime.now(dt.UTC).isoformat()}
    change = {"metadata": {"annotations": marks}, "data": data}
    await kube.merge("Secret", store.namespace, action.secret, change)


async def _publish(kube: Kube, store: Store, action: Publish, taken: set[Ref]) -> None:
    target = ref(action.secret)
    if await _anothers(kube, store, target):
        taken.add(target)
        return
    credentials = await _secret(kube, store, action.credentials)
    authority = await _secret(kube, store, action.authority)
    plain = {key: credentials[key].decode() for key in ("username", "password")}
    ca = authority["trust.crt"].decode()
    data = encoded({key: text.format(ca=ca, **_escaped(plain, text)).encode() for key, text in action.template.items()})
    meta = action.secret["metadata"]
    annotations = {**meta["annotations"], DIGEST: digest(data)}
    await kube.apply({**action.secret, "metadata": {**meta, "annotations": annotations}, "data": data})


async def _publish_given(kube: Kube, store: Store, action: PublishGiven, taken: set[Ref]) -> None:
    target = ref(action.secret)
    if await _anothers(kube, store, target):
        taken.add(target)
        return
    data = {name: text.encode() for name, text in action.files.items()}
    for name, (secret, key) in action.given.items():
        value = (await _secret(kube, store, secret)).get(key, b"")
        # Whoever may name a key of a Secret may not read it: nothing but certificates goes from there to applications.
        if value := b"".join(CERTIFICATES.findall(value)) if name == "ca.crt" else value:
            data[name] = value
    whole = encoded(data)
    meta = action.secret["metadata"]
    annotations = {**meta["annotations"], DIGEST: digest(whole)}
    await kube.apply({**action.secret, "metadata": {**meta, "annotations": annotations}, "data": whole})


async def _publish_pooler(kube: Kube, store: Store, action: PublishPooler, taken: set[Ref]) -> None:
    """The previous login stays: clients that have not read the new one yet go on."""
    target = ref(action.secret)
    if await _anothers(kube, store, target):
        taken.add(target)
        return
    credentials = await _secret(kube, store, action.credentials)
    username = credentials["username"].decode()
    live = await kube.get("Secret", store.namespace, target.name)
    before = base64.b64decode((live or {}).get("data", {}).get("userlist.txt", "")).decode().splitlines()
    kept = [line for line in before if line not in action.users and not line.startswith(f'"{username}"')]
    present = f'"{username}" "{scram.verifier(username, credentials["password"].decode())}"'
    certificate_ = await _secret(kube, store, action.certificate)
    server = {"server.crt": (await _secret(kube, store, action.server))["ca.crt"]} if action.server else {}
    data = encoded(
        {
            **{name: text.encode() for name, text in action.files.items()},
            "userlist.txt": "\n".join((*action.users, present, *kept[:1], "")).encode(),
            **{name: certificate_[name] for name in ("tls.crt", "tls.key", "ca.crt")},
            **server,
        }
    )
    meta = action.secret["metadata"]
    annotations = {**meta["annotations"], DIGEST: digest(data)}
    await kube.apply({**action.secret, "metadata": {**meta, "annotations": annotations}, "data": data})


async def _publish_repository(kube: Kube, store: Store, action: PublishRepository, taken: set[Ref]) -> None:
    """A value of more than one line would be configuration of the user's own."""
    target = ref(action.secret)
    if await _anothers(kube, store, target):
        taken.add(target)
        return
    login = await _secret(kube, store, action.credentials)
    wanted = {"access": login[ACCESS_KEY], "secret": login[SECRET_KEY], "token": login.get(TOKEN, b"")}
    if action.passphrase:
        name, key = action.passphrase
        wanted["passphrase"] = (await _secret(kube, store, name))[key]
    values = {name: value.decode(errors="replace").strip() for name, value in wanted.items()}
    if unusable := [name for name, value in values.items() if not value.isprintable()]:
        raise Refused("SecretIncomplete", f"the {', '.join(unusable)} in the Secrets of the repository is not one line")
    lines = (line for line in action.template.splitlines() if values["token"] or "{token}" not in line)
    text = "\n".join((*(line.format(**values) for line in lines), ""))
    ca = {"ca.crt": (await _secret(kube, store, action.ca[0]))[action.ca[1]]} if action.ca else {}
    data = encoded({"repository.conf": text.encode(), **ca})
    meta = action.secret["metadata"]
    annotations = {**meta["annotations"], DIGEST: digest(data)}
    await kube.apply({**action.secret, "metadata": {**meta, "annotations": annotations}, "data": data})


def _escaped(values: Mapping[str, str], text: str) -> dict[str, str]:
    return {key: quote(value, safe="") for key, value in values.items()} if "://" in text else dict(values)


async def _secret(kube: Kube, store: Store, name: str) -> dict[str, bytes]:
    live = await kube.get("Secret", store.namespace, name)
    if live is None:
        raise Unavailable(f"Secret {name} is not there yet")
    return {key: base64.b64decode(value) for key, value in (live.get("data") or {}).items()}


def encoded(data: Mapping[str, bytes]) -> dict[str, str]:
    return {key: base64.b64encode(value).decode() for key, value in data.items()}


async def emit(kube: Kube, body: Mapping[str, Any], type_: str, reason: str, message: str) -> None:
    """One event on the store, under the operator's own name; none where nothing can be written any more."""
    meta = body["metadata"]
    now = moment(dt.datetime.now(dt.UTC))
    event: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"generateName": f"{meta['name']}-", "namespace": meta["namespace"]},
        "involvedObject": {
            "apiVersion": "checkpointstore.dev/v1alpha1",
            "kind": "CheckpointStore",
            "name": meta["name"],
            "namespace": meta["namespace"],
            "uid": meta["uid"],
        },
        "type": type_,
        "reason": reason,
        "message": message[:1000],
        "source": {"component": COMPONENT},
        "reportingComponent": COMPONENT,
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
    with suppress(Terminating):
        await kube.create(event)
