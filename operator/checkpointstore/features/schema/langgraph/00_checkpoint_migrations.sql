-- name: migrate
CREATE TABLE public.checkpoint_migrations (
    v INTEGER PRIMARY KEY
)

-- name: record
INSERT INTO public.checkpoint_migrations (v) VALUES (:'version') ON CONFLICT (v) DO NOTHING
