"""Structured logs: one JSON object a line, with the store and the number of its pass."""

import datetime as dt
import json
import logging
import sys
from contextvars import ContextVar

STORE: ContextVar[str] = ContextVar("store", default="")
PASS: ContextVar[str] = ContextVar("pass", default="")
_USUAL = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


class Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": dt.datetime.fromtimestamp(record.created, dt.UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if STORE.get():
            line |= {"store": STORE.get(), "pass": PASS.get()}
        line |= {key: value for key, value in vars(record).items() if key not in _USUAL and _plain(value)}
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def _plain(value: object) -> bool:
    return isinstance(value, str | int | float | bool | list)


def configure(level: str) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Json())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for noisy in ("kopf", "aiohttp.access"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.getLogger().level))
