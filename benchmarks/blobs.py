"""Large values: putting 5 MB into the store, against a stock schema on the same server."""

from benchmarks.sample import median, ratio
from benchmarks.stage import ASYNCHRONOUS, Stage


def measure(stage: Stage) -> None:
    """a 5 MB put against a stock schema on the same server"""
    with stage.scene("blobs") as scene:
        scene.store("agents", ASYNCHRONOUS)
        scene.stock_database("agents")
        samples, _ = scene.run("large_put.py", "agents", ROUNDS=40 if stage.full else 15)
        for kind in ("words", "repeated"):
            for call in ("put", "get"):
                store, stock = samples[f"{call}.{kind}.store"], samples[f"{call}.{kind}.stock"]
                stage.report.note(f"blobs.{call}.{kind}.store.p50", median(store), "ms")
                stage.report.note(f"blobs.{call}.{kind}.stock.p50", median(stock), "ms")
                # What is gained depends on the text: the bound is for text without structure.
                bound = ">=3" if (call, kind) == ("put", "words") else ""
                stage.report.note(f"blobs.{call}.{kind}.stock_per_store", ratio(stock, store), "x", bound)
