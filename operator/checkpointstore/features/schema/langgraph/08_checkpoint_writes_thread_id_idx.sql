-- name: migrate
CREATE INDEX CONCURRENTLY checkpoint_writes_thread_id_idx ON public.checkpoint_writes (thread_id)
