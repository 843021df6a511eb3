"""When a store's certificates are to be made or renewed; keys never come near here."""

from datetime import datetime, timedelta

from .action import Action, IssueAuthority, IssueCertificate
from .env import Env
from .observed import Observed

LEAF_LIFETIME = timedelta(days=90)
RENEW_BEFORE = timedelta(days=30)
AUTHORITY_LIFETIME = timedelta(days=3650)


def authority(env: Env, observed: Observed) -> tuple[Action, ...]:
    """The store's own certificate authority, made once."""
    if env.names.authority in observed.secrets:
        return ()
    secret = env.object("v1", "Secret", env.names.authority, "tls", type="Opaque")
    return (IssueAuthority(secret, f"checkpointstore {env.namespace}/{env.name}"),)


def leaf(
    env: Env, observed: Observed, now: datetime, name: str, common_name: str, hosts: tuple[str, ...] = ()
) -> tuple[Action, ...]:
    """A leaf certificate that is missing, near its end, for other names, or signed by another authority."""
    fact = observed.secrets.get(name)
    ca = observed.secrets.get(env.names.authority)
    have = fact.certificate if fact else None
    if (
        have
        and have.common_name == common_name
        and set(have.dns_names) == set(hosts)
        and have.not_after - RENEW_BEFORE > now
        and (ca is None or ca.certificate is None or ca.certificate.issuer_key == have.issuer_key)
    ):
        return ()
    secret = env.object("v1", "Secret", name, "tls", type="kubernetes.io/tls")
    return (IssueCertificate(secret, env.names.authority, common_name, hosts),)


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
