"""PgBouncer in front of the primary: within the server's budget, sized by the load, drained before it goes."""
