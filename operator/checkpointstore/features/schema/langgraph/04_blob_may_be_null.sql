-- name: migrate
ALTER TABLE public.checkpoint_blobs ALTER COLUMN blob DROP NOT NULL
