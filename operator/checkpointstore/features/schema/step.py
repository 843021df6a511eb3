"""One statement to run, as the planners say it."""

from dataclasses import dataclass

MAY_CREATE_ROLES = "the Secret's admin must be a superuser or have CREATEROLE: ALTER ROLE {admin} CREATEROLE"


@dataclass(frozen=True, slots=True)
class Step:
    """Sent to the server as one message, so that several statements in `sql` are one transaction."""

    name: str
    """Safe to log, unlike the SQL."""
    sql: str
    as_owner: bool = False
    """Run with SET ROLE to the owner, so that what is made belongs to it."""
    alone: bool = False
    """Cannot be in a transaction, and may wait for other sessions as long as it takes."""
    needs: str = ""
    """What to grant where the server says no."""


@dataclass(frozen=True, slots=True)
class Plan:
    steps: tuple[Step, ...] = ()
    awaits: str = ""
    """Somebody else's unfinished work that a step would undo; look again when it is over."""

    @property
    def done(self) -> bool:
        return not self.steps and not self.awaits
