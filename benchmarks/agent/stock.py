"""The database on the store's own server that only the stock saver's setup() has prepared."""

from binding import read


def uri() -> str:
    """Where it is, past the pooler, which knows the store's database alone."""
    before, after = read("direct-uri").split("/app?")
    return f"{before}/stock?{after}"
