-- name: migrate
ALTER TABLE public.checkpoint_writes ADD COLUMN task_path TEXT NOT NULL DEFAULT ''
