"""Why a program could not do its work: a reason for programs, a message for people, and whether to try again."""

TRANSIENT, REFUSED = 1, 64


class Failure(Exception):
    def __init__(self, reason: str, message: str, code: int) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason, self.message, self.code = reason, message, code


def transient(reason: str, message: str) -> Failure:
    """Kubernetes tries again."""
    return Failure(reason, message, TRANSIENT)


def refused(reason: str, message: str) -> Failure:
    """A person has to act."""
    return Failure(reason, message, REFUSED)
