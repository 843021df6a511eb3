-- The newest checkpoint of each thread and namespace: what its channels have, in rows of their own or in its own, and what is pending.
WITH newest AS MATERIALIZED (
  SELECT thread_id, checkpoint_ns, max(checkpoint_id) AS checkpoint_id FROM public.checkpoints GROUP BY thread_id, checkpoint_ns
), found AS MATERIALIZED (
  SELECT c.thread_id, c.checkpoint_ns,
         CASE jsonb_typeof(c.checkpoint -> 'channel_versions') WHEN 'object' THEN c.checkpoint -> 'channel_versions' END AS versions,
         CASE jsonb_typeof(c.checkpoint -> 'channel_values') WHEN 'object' THEN c.checkpoint -> 'channel_values' END AS values
    FROM newest AS n JOIN public.checkpoints AS c USING (thread_id, checkpoint_ns, checkpoint_id)
), part AS (
  SELECT f.thread_id, f.checkpoint_ns, b.channel, octet_length(b.blob)::bigint AS bytes
    FROM found AS f CROSS JOIN LATERAL jsonb_each_text(f.versions) AS v
    JOIN public.checkpoint_blobs AS b ON b.thread_id = f.thread_id AND b.checkpoint_ns = f.checkpoint_ns
     AND b.channel = v.key AND b.version = v.value
   UNION ALL
  SELECT f.thread_id, f.checkpoint_ns, v.key, octet_length(v.value::text)
    FROM found AS f CROSS JOIN LATERAL jsonb_each(f.values) AS v
   UNION ALL
  SELECT n.thread_id, n.checkpoint_ns, w.channel, octet_length(w.blob)
    FROM newest AS n JOIN public.checkpoint_writes AS w USING (thread_id, checkpoint_ns, checkpoint_id)
)
SELECT pg_size_pretty(sum(bytes)) AS size, (array_agg(channel ORDER BY bytes DESC NULLS LAST))[1] AS "largest channel",
       pg_size_pretty(max(bytes)) AS "its size", thread_id AS thread, checkpoint_ns AS namespace
  FROM part GROUP BY thread_id, checkpoint_ns ORDER BY sum(bytes) DESC NULLS LAST LIMIT {count}
