"""A connection from psycopg's pool, a fresh one through the pooler and a fresh one to the primary take turns."""

import os

import psycopg
from binding import read
from psycopg_pool import ConnectionPool
from report import finish
from samples import Samples, turns

ROUNDS = int(os.environ.get("ROUNDS", "150"))
FRESH = (("fresh_pooled", "uri"), ("fresh_direct", "direct-uri"))


def main() -> None:
    samples, encrypted = Samples(), True
    with ConnectionPool(read("uri"), min_size=2, max_size=2, kwargs={"autocommit": True}) as pool:
        pool.wait()
        for number in range(ROUNDS):
            with samples.timed("checkout"), pool.connection():
                pass
            with samples.timed("checkout_query"), pool.connection() as connection:
                connection.execute("select 1").fetchone()
            for series, key in turns(FRESH, number):
                with samples.timed(series), psycopg.connect(read(key), autocommit=True) as connection:
                    connection.execute("select 1").fetchone()
                    encrypted &= connection.pgconn.ssl_in_use
    samples.say()
    finish(encrypted, encrypted=encrypted, rounds=ROUNDS)


main()
