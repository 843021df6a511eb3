"""SQL that makes threads look as old as tiering wants them: ids of checkpoints tell the time."""


def older(column: str) -> str:
    """An id as of eight hours before: its first 32 bits count 27 seconds each."""
    return f"lpad(to_hex(('x' || left({column}, 8))::bit(32)::bigint - 1100), 8, '0') || substr({column}, 9)"


def copies(thread: str, count: int) -> str:
    """So many more threads with a thread's rows, and ids of eight hours before."""
    columns = {
        "checkpoints": ("checkpoint_id", "parent_checkpoint_id", "type", "checkpoint", "metadata"),
        "checkpoint_blobs": ("channel", "version", "type", "blob"),
        "checkpoint_writes": ("checkpoint_id", "task_id", "task_path", "idx", "channel", "type", "blob"),
    }
    return "; ".join(
        f"insert into {table} (thread_id, checkpoint_ns, {', '.join(names)}) "
        f"select '{thread}-' || n, checkpoint_ns, {', '.join(map(_older_id, names))} "
        f"from {table}, generate_series(1, {count}) as n where thread_id = '{thread}'"
        for table, names in columns.items()
    )


def _older_id(column: str) -> str:
    return older(column) if column.endswith("checkpoint_id") else column
