"""`spec.limits.externalize`: values that applications keep in an object store instead of in a row."""

from pydantic import model_validator

from ...kernel.compute import Quantity
from ...kernel.cron import Cron
from ...kernel.duration import Duration
from ...kernel.fragment import Fragment
from ...kernel.object_store import ACCESS_KEY, SECRET_KEY, ObjectStore, SecretReference
from ...kernel.values import quantity

LEAST, MOST = "1Ki", "500Mi"
RANGE = f"above must be from {LEAST} to {MOST}"
MOVED = (
    "objectStore.url cannot change, as rows refer to what is there: copy it, then take externalize out and set it anew"
)
_ABOVE = "quantity(string(self.above))"
RULES = (
    {
        "rule": f"{_ABOVE}.compareTo(quantity('{LEAST}')) >= 0 && {_ABOVE}.compareTo(quantity('{MOST}')) <= 0",
        "message": RANGE,
        "fieldPath": ".above",
    },
    {
        "rule": "self.objectStore.url == oldSelf.objectStore.url",
        "message": MOVED,
        "fieldPath": ".objectStore.url",
    },
)


class Externalize(Fragment):
    """Values above a size are kept in an object store by their content, and rows only refer to them. What applications
    need for that is in Secret NAME-blobs."""

    above: Quantity = "1Mi"
    """Serialized values that are larger go outside, such as 1Mi or 10Ki."""
    object_store: ObjectStore
    """Where they are kept, below blobs/NAMESPACE/NAME/UID of the store. Its credentials stay with the operator, which
    lists and removes."""
    application_credentials: SecretReference
    """Secret with the keys AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and AWS_SESSION_TOKEN where there is one, that
    applications get. They only have to read and write objects below that folder."""
    grace: Duration = "7d"
    """A value that nothing refers to any more stays so long at least, and as long as a recovery may need it, in hours
    (h), days (d) or weeks (w). A saver's call has to end within it."""
    schedule: Cron = "30 3 * * *"
    """When such values are removed: a cron line of five fields, in UTC."""
    dry_run: bool = False
    """Only say in status what would be removed; nothing is."""

    @model_validator(mode="after")
    def _sensible(self) -> "Externalize":
        if not quantity(LEAST) <= quantity(self.above) <= quantity(MOST):
            raise ValueError(RANGE)
        return self

    def secrets(self) -> frozenset[str]:
        """The names of the Secrets that it needs."""
        return self.object_store.secrets() | {self.application_credentials.name}

    def needs(self) -> dict[str, tuple[str, ...]]:
        """The keys that each of these Secrets must have."""
        mine = self.object_store.needs()
        name = self.application_credentials.name
        return {**mine, name: tuple(dict.fromkeys((*mine.get(name, ()), ACCESS_KEY, SECRET_KEY)))}
