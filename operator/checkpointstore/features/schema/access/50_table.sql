-- Whoever owned the table may go on using it: an application that still has its old login must not break.
-- name: take
ALTER TABLE public.:"table" OWNER TO :"owner";
GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE public.:"table" TO :"previous"

-- name: write
GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE public.:"table" TO :"group"

-- name: read
REVOKE ALL ON TABLE public.:"table" FROM :"group";
GRANT SELECT ON TABLE public.:"table" TO :"group"
