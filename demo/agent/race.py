"""Several stock setup() calls at once, each as an application of its own, once a question is answered yes."""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
from binding import uri
from langgraph.checkpoint.postgres import PostgresSaver
from report import finish, say

APPLICATIONS = int(os.environ.get("APPLICATIONS", "6"))
START_WHEN = os.environ.get("START_WHEN", "select true")
PATIENCE = float(os.environ.get("PATIENCE", "120"))


def application(number: int, go: threading.Event) -> str:
    """Set up and be done; gives the error, if any."""
    go.wait()
    time.sleep(number / 100)
    try:
        with PostgresSaver.from_conn_string(uri()) as saver:
            saver.setup()
    except psycopg.Error as error:
        text = f"{type(error).__name__}: {str(error).strip()[:200]}"
        say("failed", application=number, error=text)
        return text
    return ""


def wait() -> None:
    """Ask until the answer is yes, or patience ends."""
    give_up = time.monotonic() + PATIENCE
    with psycopg.connect(uri(), autocommit=True) as connection:
        say("armed")
        while time.monotonic() < give_up:
            row = connection.execute(START_WHEN.encode()).fetchone()
            if row and row[0]:
                return
            time.sleep(0.005)
    finish(False, error=f"never true: {START_WHEN}")


def main() -> None:
    go = threading.Event()
    with ThreadPoolExecutor(APPLICATIONS) as threads:
        running = [threads.submit(application, number, go) for number in range(APPLICATIONS)]
        try:
            wait()
        finally:
            go.set()
        errors = [error for future in running if (error := future.result())]
    finish(not errors, applications=APPLICATIONS, failed=len(errors), errors=sorted(set(errors)))


main()
