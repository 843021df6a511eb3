"""Times as text, the way Kubernetes writes them."""

from datetime import UTC, datetime, timedelta


def whole(seconds: float) -> str:
    """RFC 3339 in whole seconds."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def exact(moment: datetime) -> str:
    """RFC 3339 with microseconds, as PostgreSQL's commit times have them."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse(text: str) -> datetime:
    """From RFC 3339; ValueError for anything else and for a time without a zone."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    return moment


def postgres(moment: datetime) -> str:
    """For postgresql.conf, where no time zone has a name yet, not even Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f+00")


def from_microseconds(value: int) -> datetime:
    """Since 1970; a float of seconds could not hold them."""
    return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=value)
