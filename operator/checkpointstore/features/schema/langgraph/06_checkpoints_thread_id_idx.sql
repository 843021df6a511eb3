-- name: migrate
CREATE INDEX CONCURRENTLY checkpoints_thread_id_idx ON public.checkpoints (thread_id)
