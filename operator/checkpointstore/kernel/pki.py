"""When a store's certificates are to be made or renewed; keys never come near here."""

from datetime import datetime, timedelta

from .action import Action, Emit, IssueAuthority, IssueCertificate, RotateAuthority, Stage
from .env import Env
from .observed import Observed, SecretFact

LEAF_LIFETIME = timedelta(days=90)
RENEW_BEFORE = timedelta(days=30)
AUTHORITY_LIFETIME = timedelta(days=3650)
AUTHORITY_RENEW_BEFORE = timedelta(days=365)
DWELL = timedelta(minutes=2)


def authority(
    env: Env, observed: Observed, now: datetime, command: str, settled: bool
) -> tuple[tuple[Action, ...], timedelta | None]:
    """Make the store's own authority, or take the next stage of its rotation; and when to look again.

    Nobody may meet a certificate that he does not trust yet: the new authority is trusted beside the old one, then
    signs, then stands alone. A stage begins when the one before is `settled` (loaded by every pod of ours) and has
    stood for DWELL, in which the kubelets refresh the bundle that applications mount.
    """
    ca = observed.secrets.get(env.names.authority)
    if ca is None or ca.certificate is None:
        secret = env.object("v1", "Secret", env.names.authority, "tls", type="Opaque")
        return (IssueAuthority(secret, f"checkpointstore {env.namespace}/{env.name}", command),), None
    stage = _stage(ca, now, command)
    if stage is None:
        return (), None
    ready = ca.since + DWELL if ca.since and stage is not Stage.INTRODUCE else now
    if not settled or ready > now:
        return (), max(ready - now, timedelta(seconds=5))
    return (
        Emit("Normal", f"Authority{stage.value}", _STORY[stage]),
        RotateAuthority(env.names.authority, stage, f"checkpointstore {env.namespace}/{env.name}", command),
    ), timedelta(seconds=5)


def _stage(ca: SecretFact, now: datetime, command: str) -> Stage | None:
    if "next.crt" in ca.keys:
        return Stage.SWITCH
    if len(ca.trust) > 1:
        return Stage.RETIRE
    ends = ca.certificate is not None and ca.certificate.not_after - AUTHORITY_RENEW_BEFORE <= now
    return Stage.INTRODUCE if ends or (command and command != ca.rotation) else None


_STORY = {
    Stage.INTRODUCE: "A new authority is trusted beside the old one",
    Stage.SWITCH: "The new authority signs from now on",
    Stage.RETIRE: "The old authority is no longer trusted",
}


def leaf(
    env: Env, observed: Observed, now: datetime, name: str, common_name: str, hosts: tuple[str, ...] = ()
) -> tuple[Action, ...]:
    """A leaf certificate that is missing, near its end, for other names, or of another authority or bundle."""
    fact = observed.secrets.get(name)
    have = fact.certificate if fact else None
    if (
        fact
        and have
        and have.common_name == common_name
        and set(have.dns_names) == set(hosts)
        and have.not_after - RENEW_BEFORE > now
        and _belongs(env, observed, fact)
    ):
        return ()
    secret = env.object("v1", "Secret", name, "tls", type="kubernetes.io/tls")
    return (IssueCertificate(secret, env.names.authority, common_name, hosts),)


def _belongs(env: Env, observed: Observed, fact: SecretFact) -> bool:
    ca = observed.secrets.get(env.names.authority)
    if ca is None or ca.certificate is None or fact.certificate is None:
        return ca is None
    return fact.certificate.issuer_key == ca.certificate.issuer_key and fact.trust == ca.trust


def consistent(env: Env, observed: Observed) -> bool:
    """Whether every leaf is signed by the present authority and carries the present bundle."""
    names = (env.names.postgres_tls, env.names.admin_tls, env.names.pooler_tls)
    leaves = [observed.secrets[name] for name in names if name in observed.secrets]
    return bool(leaves) and all(_belongs(env, observed, fact) for fact in leaves)


def hosts(env: Env, *services: str) -> tuple[str, ...]:
    """Every name under which pods reach the Services."""
    return tuple(
        name
        for service in services
        for name in (
            service,
            f"{service}.{env.namespace}",
            env.host(service),
            f"{env.host(service)}.{env.cluster_domain}",
        )
    )
