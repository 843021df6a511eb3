"""The one tree of errors that the edges raise and that reconcile turns into conditions.

StoreError
├── Refused       a person has to act; `reason` is a stable CamelCase word
│   └── Terminating   nothing new can be made in the namespace any more
├── Conflict      an object of that name exists already and is another's
└── Unavailable   the other side does not answer or lost a race; trying again may help
"""


class StoreError(Exception):
    """Anything a room may raise; its text never holds a secret's value."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Refused(StoreError):
    """What was asked must not be done as things stand; the message names the way out."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Terminating(Refused):
    """The namespace is being deleted, and all that is in it with it."""


class Conflict(StoreError):
    """The name is taken."""


class Unavailable(StoreError):
    """Not now; the same call may succeed later."""
