"""SQL that makes threads look as old as tiering wants them: ids of checkpoints tell the time."""

IDS = {
    "checkpoints": ("checkpoint_id", "parent_checkpoint_id"),
    "checkpoint_blobs": (),
    "checkpoint_writes": ("checkpoint_id",),
}
"""Columns with ids of checkpoints, by table."""


def older(column: str) -> str:
    """An id as of eight hours before: its first 32 bits count 27 seconds each."""
    return f"lpad(to_hex(('x' || left({column}, 8))::bit(32)::bigint - 1100), 8, '0') || substr({column}, 9)"


def copies(thread: str, count: int) -> str:
    """So many more threads with a thread's rows, and ids of eight hours before."""
    return "; ".join(_copies(table, columns, thread, count) for table, columns in IDS.items())


def _copies(table: str, columns: tuple[str, ...], thread: str, count: int) -> str:
    changed = {"thread_id": f"'{thread}-' || i", **{column: older(f"r.{column}") for column in columns}}
    given = ", ".join(f"'{column}', {value}" for column, value in changed.items())
    return (
        f"insert into {table} select c.* from generate_series(1, {count}) as i, lateral "
        f"(select (jsonb_populate_record(r, jsonb_build_object({given}))).* from {table} as r "
        f"where r.thread_id = '{thread}') as c"
    )
