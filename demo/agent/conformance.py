"""Run LangGraph's official conformance suite over the binding and say exactly what it detected and passed."""

import asyncio
from collections.abc import AsyncGenerator

from binding import uri
from langgraph.checkpoint.conformance import checkpointer_test, validate
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from report import finish, say

EXPECTED = {"put", "put_writes", "get_tuple", "list", "delete_thread", "prune"}


@checkpointer_test(name="AsyncPostgresSaver through the binding")
async def through_the_binding() -> AsyncGenerator[AsyncPostgresSaver, None]:
    async with AsyncPostgresSaver.from_conn_string(uri()) as saver:
        await saver.setup()
        yield saver


async def main() -> None:
    report = await validate(through_the_binding)
    detected = {name for name, result in report.results.items() if result.detected}
    for name, result in sorted(report.results.items()):
        say("capability", name=name, detected=result.detected, failures=result.failures)
    failed = sum(result.tests_failed for result in report.results.values())
    finish(
        detected == EXPECTED and report.passed_all_base() and report.passed_all() and failed == 0,
        detected=sorted(detected),
        passed=sum(result.tests_passed for result in report.results.values()),
        failed=failed,
    )


asyncio.run(main())
