"""Notices nodes that stopped answering, half a minute before Kubernetes does.

Kubernetes keeps sending clients to a pod for some 45 s after its node was cut off. The sentinel knocks at the kubelet
of every node that carries one of our poolers; a node is gone when it failed several times in a row while another
answered, so that an operator that is itself cut off, or may not reach kubelets at all, accuses nobody.
"""

import asyncio
from collections.abc import Callable, Collection
from contextlib import suppress

KUBELET = 10250
PERIOD = 0.5
TIMEOUT = 1.0
FAILURES = 4


class Sentinel:
    def __init__(self, changed: Callable[[str], None]) -> None:
        self._changed = changed
        self._watched: dict[str, frozenset[str]] = {}
        self._failures: dict[str, int] = {}
        self.gone: frozenset[str] = frozenset()

    def watch(self, who: str, hosts: Collection[str]) -> None:
        """From now on `who` depends on these node addresses; none: it is no longer interested."""
        if hosts:
            self._watched[who] = frozenset(hosts)
        else:
            self._watched.pop(who, None)

    async def keep(self) -> None:
        while True:
            hosts = sorted({host for group in self._watched.values() for host in group})
            self._judge(dict(zip(hosts, await asyncio.gather(*map(_answers, hosts)), strict=True)))
            await asyncio.sleep(PERIOD)

    def _judge(self, answers: dict[str, bool]) -> None:
        self._failures = {host: 0 if fine else self._failures.get(host, 0) + 1 for host, fine in answers.items()}
        gone = frozenset(host for host, count in self._failures.items() if count >= FAILURES)
        if not any(answers.values()):
            return
        news, self.gone = gone ^ self.gone, gone
        for who, group in self._watched.items():
            if group & news:
                self._changed(who)


async def _answers(host: str) -> bool:
    try:
        async with asyncio.timeout(TIMEOUT):
            _, writer = await asyncio.open_connection(host, KUBELET)
    except (OSError, TimeoutError):
        return False
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return True
