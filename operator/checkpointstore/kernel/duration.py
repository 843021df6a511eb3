"""Times of days and weeks as a spec says them, such as 12h, 30d or 4w: in Python and in CEL."""

import re
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, Field

PATTERN = "^[1-9][0-9]{0,3}[hdw]$"
_HOURS = {"h": 1, "d": 24, "w": 168}


def duration(text: str) -> timedelta:
    """A time such as 12h, 30d or 4w.

    Raises ValueError when it is none.
    """
    if re.fullmatch(PATTERN, text) is None:
        raise ValueError(
            "not a duration such as 12h, 30d or 4w: up to four digits, then h for hours, d for days or w for weeks "
            "(m is not offered: it means minutes to some and months to others)"
        )
    return timedelta(hours=int(text[:-1]) * _HOURS[text[-1]])


def cel(field: str) -> str:
    """A duration's hours in CEL."""
    unit = f"({field}.endsWith('w') ? 168 : {field}.endsWith('d') ? 24 : 1)"
    return f"int({field}.substring(0, size({field}) - 1)) * {unit}"


def _checked(text: str) -> str:
    duration(text)
    return text


Duration = Annotated[str, Field(pattern=PATTERN, max_length=5), AfterValidator(_checked)]
