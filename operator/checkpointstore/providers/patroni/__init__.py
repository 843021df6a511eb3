"""PostgreSQL run by Patroni in a StatefulSet: the provider that is built in."""
