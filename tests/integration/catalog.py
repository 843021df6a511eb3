"""Two databases' checkpoint tables side by side: everything the catalog says of them that a client could notice."""

from typing import Any

import psycopg

TABLES = ["checkpoint_migrations", "checkpoints", "checkpoint_blobs", "checkpoint_writes"]
QUERIES = {
    "columns": """
        SELECT c.relname, a.attname, a.attnum, format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull,
               a.attidentity, a.attgenerated, a.attstorage, a.attcompression, co.collname,
               pg_get_expr(d.adbin, d.adrelid) AS default
          FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
          LEFT JOIN pg_attrdef d ON (d.adrelid, d.adnum) = (a.attrelid, a.attnum)
          LEFT JOIN pg_collation co ON co.oid = a.attcollation
         WHERE c.relname = ANY (%(tables)s) AND a.attnum > 0 AND NOT a.attisdropped""",
    "tables": """
        SELECT relname, relkind, relpersistence, relreplident, relhasrules, relhastriggers, relrowsecurity,
               am.amname, relispartition, reloptions, relnatts
          FROM pg_class c JOIN pg_am am ON am.oid = c.relam WHERE relname = ANY (%(tables)s)""",
    "constraints": """
        SELECT c.relname, k.conname, k.contype, k.convalidated, k.condeferrable, pg_get_constraintdef(k.oid) AS def
          FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid WHERE c.relname = ANY (%(tables)s)""",
    "indexes": """
        SELECT i.relname, pg_get_indexdef(i.oid) AS def, x.indisunique, x.indisprimary, x.indisvalid, x.indisready,
               x.indislive, x.indisreplident, x.indisclustered
          FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class c ON c.oid = x.indrelid
         WHERE c.relname = ANY (%(tables)s)""",
    "other relations": """
        SELECT relname, relkind FROM pg_class
         WHERE relnamespace = 'public'::regnamespace AND relname <> ALL (%(tables)s)
           AND relkind <> 'i' AND relname !~ '^pg_stat_statements'""",
    "versions": "SELECT v FROM public.checkpoint_migrations",
}
TUNED = (
    "['autovacuum_vacuum_scale_factor=0.02', 'autovacuum_vacuum_insert_scale_factor=0.05', "
    "'autovacuum_analyze_scale_factor=0.02']"
)

Facts = set[tuple[str, ...]]


def facts(connection: psycopg.Connection[dict[str, Any]]) -> Facts:
    """One tuple a fact: what kind, of what object, which property, its value."""
    found: Facts = set()
    for kind, query in QUERIES.items():
        for row in connection.execute(query, {"tables": TABLES} if "%" in query else None):
            key = ".".join(str(row[name]) for name in ("relname", "attname", "conname", "v") if name in row)
            found |= {(kind, key, name, str(value)) for name, value in row.items()}
    return found


def access(connection: psycopg.Connection[dict[str, Any]]) -> Facts:
    """Who owns what and who may do what, roles and their settings included."""
    rows = connection.execute(
        """
        SELECT 'table' AS kind, relname::text AS name, pg_get_userbyid(relowner)::text AS owner,
               (SELECT array_agg(item::text ORDER BY item::text) FROM unnest(relacl) item)::text AS detail
          FROM pg_class WHERE relname = ANY (%(tables)s)
        UNION ALL SELECT 'default', defaclobjtype::text, pg_get_userbyid(defaclrole), defaclacl::text
          FROM pg_default_acl
        UNION ALL SELECT 'schema', nspname, pg_get_userbyid(nspowner), nspacl::text
          FROM pg_namespace WHERE nspname IN ('public', 'pooler')
        UNION ALL SELECT 'function', proname, pg_get_userbyid(proowner), proacl::text || prosrc
          FROM pg_proc WHERE proname = 'user_lookup'
        UNION ALL SELECT 'database', datname, pg_get_userbyid(datdba), datacl::text || datcollate
          FROM pg_database WHERE datname = current_database()
        UNION ALL SELECT 'extension', extname, '', '' FROM pg_extension
        UNION ALL SELECT 'role', r.rolname,
               (SELECT string_agg(g.rolname, ',' ORDER BY g.rolname) FROM pg_auth_members m
                  JOIN pg_roles g ON g.oid = m.roleid WHERE m.member = r.oid),
               concat_ws(' ', rolcanlogin, rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolpassword,
                         shobj_description(r.oid, 'pg_authid'),
                         (SELECT setconfig FROM pg_db_role_setting s WHERE s.setrole = r.oid))
          FROM pg_authid r WHERE r.rolname !~ '^pg_'
        """,
        {"tables": TABLES},
    )
    return {tuple(map(str, row.values())) for row in rows}


def extras() -> Facts:
    """Exactly what we have on top of a stock setup()."""
    indexes = {
        "checkpoints_metadata_idx": "gin (metadata jsonb_path_ops) WITH (fastupdate=off)",
        "checkpoints_checkpoint_id_idx": "btree (checkpoint_id DESC)",
    }
    plain = {"indisunique": "False", "indisprimary": "False", "indisreplident": "False", "indisclustered": "False"}
    sound = {"indisvalid": "True", "indisready": "True", "indislive": "True"}
    found: Facts = {
        ("indexes", name, key, value)
        for name, body in indexes.items()
        for key, value in {
            "relname": name,
            "def": f"CREATE INDEX {name} ON public.checkpoints USING {body}",
            **plain,
            **sound,
        }.items()
    }
    for column in ("checkpoints.checkpoint", "checkpoint_blobs.blob", "checkpoint_writes.blob"):
        found.add(("columns", column, "attcompression", "l"))
    for table in ("checkpoints", "checkpoint_blobs", "checkpoint_writes"):
        found.add(("tables", table, "reloptions", TUNED))
    return found


def replaced() -> Facts:
    """What a stock setup() has in the places of those extras that are settings."""
    columns = ("checkpoints.checkpoint", "checkpoint_blobs.blob", "checkpoint_writes.blob")
    tables = ("checkpoints", "checkpoint_blobs", "checkpoint_writes")
    compression = {("columns", column, "attcompression", "") for column in columns}
    return compression | {("tables", table, "reloptions", "None") for table in tables}
