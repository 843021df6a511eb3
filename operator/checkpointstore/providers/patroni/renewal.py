"""Instances take a renewed certificate up without a restart: told to reload until they are seen to serve it."""

from datetime import datetime, timedelta

from ...kernel.action import Action, Peer, Program, Reload
from ...kernel.env import Env
from ...kernel.naming import CERTIFICATE
from ...kernel.observed import Observed
from ...kernel.pod import touch
from ..spec import Postgres
from .config import COMPONENT

AGAIN = timedelta(seconds=10)


def loaded(spec: Postgres, env: Env, observed: Observed) -> bool:
    """Whether every instance is there and serves what its Secret holds."""
    tls = observed.secrets.get(env.names.postgres_tls)
    wanted = tls.certificate.fingerprint if tls and tls.certificate else ""
    return list(observed.served.values()) == [wanted] * spec.instances


def renew(env: Env, observed: Observed, now: datetime) -> tuple[Action, ...]:
    """A reload for each instance that serves another certificate than its Secret holds."""
    tls = observed.secrets.get(env.names.postgres_tls)
    if tls is None or tls.certificate is None:
        return ()
    return tuple(
        Reload(
            program=Program.PATRONI,
            pod=name,
            at=Peer(f"{name}.{env.host(env.names.pods)}", str(pod["status"]["podIP"])),
            admin=env.names.admin_tls,
            mark=touch(CERTIFICATE, tls.certificate.fingerprint[:32], now),
        )
        for pod in observed.all("Pod", COMPONENT)
        if observed.served.get(name := pod["metadata"]["name"], tls.certificate.fingerprint)
        != tls.certificate.fingerprint
    )
