"""Sustained load: stock savers at 500 puts a second and more through the pooler, without one error."""

from benchmarks.sample import one
from benchmarks.stage import ASYNCHRONOUS, Stage, Wrong

WAITS = ("p50", "p99", "longest")


def measure(stage: Stage) -> None:
    """at least 500 puts a second through the pooler for 20 s, 10 minutes with --full"""
    with stage.scene("throughput") as scene:
        scene.store("agents", ASYNCHRONOUS)
        _, result = scene.run("puts.py", "agents", SECONDS=600 if stage.full else 20)
        body = stage.kubectl.get("checkpointstore", "agents", "-n", scene.namespace)
        note = stage.report.note
        note("throughput.puts", one(result["acknowledged"] / result["seconds"]), "puts/s", ">=500")
        note("throughput.seconds", one(result["seconds"]), "s")
        note("throughput.errors", one(result["failed"]), "errors", "<=0")
        # Every failover begins another timeline; the store is new.
        note("throughput.failovers", one(body["status"]["postgres"]["timeline"] - 1), "failovers", "<=0")
        for name, wait in zip(WAITS, result["waits"], strict=True):
            note(f"throughput.put.{name}", one(wait), "ms")
        if result["failed"]:
            raise Wrong(f"{result['failed']} puts failed: {result['errors']}")
