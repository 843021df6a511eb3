-- name: migrate
CREATE INDEX CONCURRENTLY checkpoint_blobs_thread_id_idx ON public.checkpoint_blobs (thread_id)
