"""Where things are in an instance's pod."""

CONFIG = "/etc/patroni"
DATA = "/var/lib/postgresql/data"
PGDATA = f"{DATA}/pgdata"
REPOSITORY = "/etc/pgbackrest"
