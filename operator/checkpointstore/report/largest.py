"""Which threads have the largest checkpoints: told to whoever may exec into the primary, and to nobody else."""

import asyncio
from importlib.resources import files

from ..adapters import kube
from ..kernel.errors import Refused
from .content import psql

# Sizes of all threads' newest checkpoints are read, but no value. No function runs that an application made in public.
SESSION = (
    "-c default_transaction_read_only=on -c statement_timeout=25s -c lock_timeout=1s -c search_path=pg_catalog,pg_temp"
)


def run(store: str, namespace: str | None, count: int) -> str:
    """A table, the largest first. Raises StoreError where there is no primary, no right, or no end in time."""
    return asyncio.run(_run(store, namespace or kube.usual_namespace(), count))


async def _run(store: str, namespace: str, count: int) -> str:
    api = await kube.connect()
    try:
        found = await api.get("CheckpointStore", namespace, store)
        if found is None:
            raise Refused("NotFound", f"no CheckpointStore {store} in namespace {namespace}")
        primary = found.get("status", {}).get("postgres", {}).get("primary")
        if not primary:
            raise Refused("NoPrimary", f"{store} has no instance of ours that leads")
        text = files(__package__).joinpath("largest.sql").read_text("utf-8").replace("{count}", str(count))
        ended = await api.execute(namespace, primary, "postgres", (*psql(SESSION), text))
    finally:
        await api.close()
    if ended.code:
        raise Refused("QueryFailed", ended.errors.strip() or f"psql ended with {ended.code}")
    return ended.output
