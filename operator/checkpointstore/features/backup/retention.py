"""How long backups are kept: the recovery window, and the options that tell it to pgBackRest."""

import re
from datetime import timedelta

LONGEST = 3650
_DAYS = {"d": 1, "w": 7}


def window(text: str) -> timedelta:
    """A recovery window such as 30d or 4w.

    Raises ValueError when it is none, or too long.
    """
    if re.fullmatch(r"[1-9][0-9]*[dw]", text) is None:
        raise ValueError("not a recovery window such as 30d or 4w: a whole number, then d for days or w for weeks")
    days = int(text[:-1]) * _DAYS[text[-1]]
    if days > LONGEST:
        raise ValueError(f"a recovery window of at most {LONGEST}d (or {LONGEST // 7}w) is possible")
    return timedelta(days=days)


def options(window: timedelta) -> dict[str, str]:
    """pgBackRest's options for a repository from which every moment of the window can be restored.

    Its expire command, which follows every successful backup, looks for the newest full backup that ended before the
    window, and removes what is older than that one. So there is a backup before the window's beginning, the last full
    one stays whatever its age, and without newer ones nothing is ever removed.
    """
    days = str(window.days)
    # No retention of the archive: unset, WAL goes up to where the oldest kept full backup starts, and no further, and
    # while that backup is inside the window none goes. Set, it would cut into the window.
    return {
        "repo1-retention-full-type": "time",
        "repo1-retention-full": days,
        # Unset, the manifests of all backups that ever were would stay.
        "repo1-retention-history": days,
    }
