"""What a connection costs: from psycopg's pool, fresh through the pooler, fresh to the primary; TLS everywhere."""

from benchmarks.sample import median, ratio
from benchmarks.stage import ASYNCHRONOUS, Stage


def measure(stage: Stage) -> None:
    """a pooled connection against a fresh one, and a fresh one through the pooler against a fresh direct one"""
    with stage.scene("checkout") as scene:
        scene.store("agents", ASYNCHRONOUS)
        samples, _ = scene.run("checkout.py", "agents", ROUNDS=500 if stage.full else 150)
        for series, values in sorted(samples.items()):
            stage.report.note(f"checkout.{series}.p50", median(values), "ms")
        direct, note = samples["fresh_direct"], stage.report.note
        note("checkout.fresh_direct_per_checkout", ratio(direct, samples["checkout"]), "x", ">=10")
        note("checkout.fresh_direct_per_checkout_with_query", ratio(direct, samples["checkout_query"]), "x", ">=10")
        note("checkout.fresh_direct_per_fresh_pooled", ratio(direct, samples["fresh_pooled"]), "x")
