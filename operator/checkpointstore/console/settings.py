"""What the console is told by its environment; the chart sets every variable but the port."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PREFIX = "CHECKPOINTSTORE_"
PORT = 8443


@dataclass(frozen=True, slots=True)
class Settings:
    log_level: str
    certificate: Path | None
    """A folder with tls.crt and tls.key; None for a certificate that is made at the start."""
    prometheus: str
    runbooks: str
    port: int


def read(environ: Mapping[str, str] = os.environ) -> Settings:
    """Everything has a default, so that the command also runs by hand."""
    folder = environ.get(f"{PREFIX}CONSOLE_CERTIFICATE", "")
    return Settings(
        log_level=environ.get(f"{PREFIX}LOG_LEVEL", "info").upper(),
        certificate=Path(folder) if folder else None,
        prometheus=environ.get(f"{PREFIX}PROMETHEUS_URL", ""),
        runbooks=environ.get(f"{PREFIX}RUNBOOKS", "docs/runbooks"),
        port=int(environ.get(f"{PREFIX}CONSOLE_PORT") or PORT),
    )
