"""The store's own certificate authority, which signs every certificate of its pods."""

from ..kernel.contribution import Contribution
from ..kernel.env import Env
from ..kernel.observed import Observed
from ..kernel.pki import authority


def contribute(env: Env, observed: Observed) -> Contribution:
    return Contribution(actions=authority(env, observed))
