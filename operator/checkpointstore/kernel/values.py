"""Values as Kubernetes and PostgreSQL write them: quantities in, plain numbers out."""

import hashlib
import re
from datetime import datetime
from decimal import Decimal

MIB = 1024 * 1024
QUANTITY = r"^([0-9]+([.][0-9]+)?)(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$"
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_FACTOR = {
    "": Decimal(1),
    "m": Decimal(1) / 1000,
    "k": Decimal(10) ** 3,
    "M": Decimal(10) ** 6,
    "G": Decimal(10) ** 9,
    "T": Decimal(10) ** 12,
    "P": Decimal(10) ** 15,
    "E": Decimal(10) ** 18,
    "Ki": Decimal(2) ** 10,
    "Mi": Decimal(2) ** 20,
    "Gi": Decimal(2) ** 30,
    "Ti": Decimal(2) ** 40,
    "Pi": Decimal(2) ** 50,
    "Ei": Decimal(2) ** 60,
}


def quantity(text: str | int | float) -> Decimal:
    """A Kubernetes quantity ("500m", "2Gi", 3) as a number of its base unit (cores, bytes).

    Raises ValueError when it is none.
    """
    match = re.match(QUANTITY, str(text))
    if match is None:
        raise ValueError("not a quantity such as 500m or 2Gi")
    return Decimal(match[1]) * _FACTOR[match[3] or ""]


def seconds(text: str) -> float:
    """A time such as 50ms, 30s, 10m or 6h, which a spec's own pattern has let through."""
    unit = text.lstrip("0123456789")
    return int(text.removesuffix(unit)) * _SECONDS[unit]


def moment(at: datetime) -> str:
    """A time as the API writes it: RFC 3339, UTC, whole seconds."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def digest(*parts: str) -> str:
    """Sixteen hex digits that are others when any part is another."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def mebibytes(text: str | int | float) -> int:
    """A memory quantity in whole MiB, rounded down."""
    return int(quantity(text) / MIB)


def bytes_text(count: float) -> str:
    """A size for people, in two digits or three: 1.2Gi, 85Mi."""
    power = next((power for power in range(4) if count < 1024 ** (power + 1)), 4)
    scaled, unit = count / 1024**power, ("", "Ki", "Mi", "Gi", "Ti")[power]
    return f"{scaled:.1f}{unit}" if unit and scaled < 10 else f"{scaled:.0f}{unit}"
