"""What a pod does before its server is stopped: a primary with a standby waits until that one has taken over.

The operator sees that the pod is told to go, as on a node that is drained, and hands over with the clients held.
Without the wait Patroni stops the server at once, and every client is failed.
"""

FILE = "before-stop.py"
SECONDS = 10
"""It then stops all the same: perhaps nobody is there to hand over, or may."""


def script(port: int) -> str:
    """A program; `port` is that of the member's own REST API, whose reading part asks nobody for a certificate."""
    return f"""\
import json, os, ssl, time, urllib.request

context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
end = time.monotonic() + {SECONDS}
while time.monotonic() < end:
    try:
        with urllib.request.urlopen("https://127.0.0.1:{port}/cluster", timeout=2, context=context) as answer:
            members = json.load(answer)["members"]
    except OSError:
        break
    leads = any(member["name"] == os.environ["PATRONI_NAME"] and member["role"] == "leader" for member in members)
    if not leads or all(member["state"] != "streaming" for member in members):
        break
    time.sleep(0.2)
"""
