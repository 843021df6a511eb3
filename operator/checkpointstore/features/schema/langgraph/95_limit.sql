-- A put writes values first and then its checkpoint, in one transaction. Values that are small against the limit cost nothing:
-- only one of more than a 4096th of it, in a row of its own or in the checkpoint's, lets the whole be added up, and of small pending
-- writes, of which there may be thousands, one in fifty. What is missed so is a percent or two of the limit.
-- Sizes of values in TOAST are known without reading them.
-- name: limit
CREATE OR REPLACE FUNCTION public.checkpointstore_large() RETURNS trigger LANGUAGE plpgsql AS $large$
  BEGIN
    PERFORM pg_catalog.set_config('checkpointstore.large', 'on', true);
    RETURN NULL;
  END $large$;
CREATE OR REPLACE FUNCTION public.checkpointstore_limit() RETURNS trigger LANGUAGE plpgsql AS $limit$
  DECLARE
    most CONSTANT bigint := :'limit';
    body jsonb;
    whole bigint;
    widest text;
    width bigint;
  BEGIN
    IF TG_TABLE_NAME = 'checkpoints' THEN
      body := NEW.checkpoint;
    ELSE
      SELECT c.checkpoint INTO body FROM public.checkpoints AS c
       WHERE c.thread_id = NEW.thread_id AND c.checkpoint_ns = NEW.checkpoint_ns AND c.checkpoint_id = NEW.checkpoint_id;
    END IF;
    SELECT pg_catalog.sum(p.bytes), (pg_catalog.array_agg(p.channel ORDER BY p.bytes DESC))[1], pg_catalog.max(p.bytes)
      INTO whole, widest, width
      FROM (SELECT b.channel, pg_catalog.octet_length(b.blob)::bigint AS bytes
              FROM pg_catalog.jsonb_each_text(
                     CASE pg_catalog.jsonb_typeof(body -> 'channel_versions') WHEN 'object' THEN body -> 'channel_versions' END) AS v
              JOIN public.checkpoint_blobs AS b
                ON b.thread_id = NEW.thread_id AND b.checkpoint_ns = NEW.checkpoint_ns
               AND b.channel = v.key AND b.version = v.value
             WHERE b.blob IS NOT NULL
            UNION ALL
            SELECT v.key, pg_catalog.octet_length(v.value::text)
              FROM pg_catalog.jsonb_each(
                     CASE pg_catalog.jsonb_typeof(body -> 'channel_values') WHEN 'object' THEN body -> 'channel_values' END) AS v
            UNION ALL
            SELECT w.channel, pg_catalog.octet_length(w.blob)
              FROM public.checkpoint_writes AS w
             WHERE w.thread_id = NEW.thread_id AND w.checkpoint_ns = NEW.checkpoint_ns
               AND w.checkpoint_id = NEW.checkpoint_id) AS p;
    IF whole > most THEN
      RAISE EXCEPTION USING ERRCODE = 'program_limit_exceeded',
        MESSAGE = pg_catalog.format(
          'a checkpoint of thread "%s" would have %s, more than the limit of %s; its channel "%s" has %s',
          NEW.thread_id, pg_catalog.pg_size_pretty(whole), pg_catalog.pg_size_pretty(most), widest,
          pg_catalog.pg_size_pretty(width)),
        HINT = 'Keep large values outside the state, or raise spec.limits.checkpointSize of the CheckpointStore.';
    ELSIF whole > most * 0.8 THEN
      RAISE WARNING 'a checkpoint of thread "%" has %, nearly the limit of %; its channel "%" has %',
        NEW.thread_id, pg_catalog.pg_size_pretty(whole), pg_catalog.pg_size_pretty(most), widest,
        pg_catalog.pg_size_pretty(width);
    END IF;
    RETURN NEW;
  END $limit$;
CREATE OR REPLACE TRIGGER checkpointstore_large AFTER INSERT ON public.checkpoint_blobs FOR EACH ROW
  WHEN (octet_length(NEW.blob) >= :'large'::integer) EXECUTE FUNCTION public.checkpointstore_large();
CREATE OR REPLACE TRIGGER checkpointstore_limit BEFORE INSERT OR UPDATE ON public.checkpoints FOR EACH ROW
  WHEN (current_setting('checkpointstore.large', true) = 'on' OR pg_column_size(NEW.checkpoint) >= :'large'::integer)
  EXECUTE FUNCTION public.checkpointstore_limit();
CREATE OR REPLACE TRIGGER checkpointstore_limit AFTER INSERT OR UPDATE ON public.checkpoint_writes FOR EACH ROW
  WHEN (octet_length(NEW.blob) >= :'large'::integer OR random() < 0.02)
  EXECUTE FUNCTION public.checkpointstore_limit();
COMMENT ON FUNCTION public.checkpointstore_limit() IS :'mark'

-- name: lift
DROP TRIGGER IF EXISTS checkpointstore_large ON public.checkpoint_blobs;
DROP TRIGGER IF EXISTS checkpointstore_limit ON public.checkpoints;
DROP TRIGGER IF EXISTS checkpointstore_limit ON public.checkpoint_writes;
DROP FUNCTION IF EXISTS public.checkpointstore_large();
DROP FUNCTION IF EXISTS public.checkpointstore_limit()
