-- list(filter=...) asks metadata @> '{...}' over all threads. Without fastupdate no unlucky put has to clear the pending list.
-- name: checkpoints_metadata_idx
CREATE INDEX CONCURRENTLY checkpoints_metadata_idx ON public.checkpoints
    USING gin (metadata jsonb_path_ops) WITH (fastupdate = off)

-- list(None, limit=n) and before=... over all threads, newest first.
-- name: checkpoints_checkpoint_id_idx
CREATE INDEX CONCURRENTLY checkpoints_checkpoint_id_idx ON public.checkpoints (checkpoint_id DESC)

-- name: drop
DROP INDEX CONCURRENTLY public.:"index"
