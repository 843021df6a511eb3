"""The store's own certificate authority, which signs every certificate of its pods, and the operator's key to them."""

from datetime import datetime

from ..kernel.command import Commands
from ..kernel.contribution import Contribution
from ..kernel.env import Env
from ..kernel.observed import Observed
from ..kernel.pki import authority, consistent, leaf


def contribute(env: Env, observed: Observed, commands: Commands, now: datetime, loaded: bool) -> Contribution:
    """`loaded` says that every pod has taken its present certificate up."""
    settled = loaded and consistent(env, observed)
    actions, again = authority(env, observed, now, commands.rotate_authority, settled)
    key = leaf(env, observed, now, env.names.admin_tls, "postgres")
    return Contribution(actions=(*actions, *key), again=again)
