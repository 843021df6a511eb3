"""Programs that run in the PostgreSQL image beside pgBackRest, with nothing but the standard library."""
