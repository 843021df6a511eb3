"""A page of metrics that a pod serves, in Prometheus' format."""

import asyncio
from collections.abc import Sequence

import aiohttp
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

TIMEOUT = 3.0


async def page(address: str, port: int) -> str:
    """The page of the pod at `address`; "" when it does not answer."""
    try:
        async with (
            asyncio.timeout(TIMEOUT),
            aiohttp.ClientSession() as session,
            session.get(f"http://{address}:{port}/metrics") as answer,
        ):
            return await answer.text()
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
        return ""


def samples(text: str, prefix: str) -> Sequence[Sample]:
    """The samples of a page whose names begin so; none where it is no such page."""
    try:
        families = list(text_string_to_metric_families(text))
    except ValueError:
        return ()
    return [sample for family in families for sample in family.samples if sample.name.startswith(prefix)]
