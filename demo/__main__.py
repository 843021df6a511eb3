"""`python3 -m demo up` shows the product at work on a real cluster; `python3 -m demo down` removes it all.

`python3 -m demo install` only brings up what the end-to-end tests start from: the cluster with the operator on it.
"""

import argparse
import sys

from demo import journey
from demo.clock import Clock
from demo.installation import chosen, install
from demo.kubectl import CommandFailed, NotInTime
from localcluster.errors import LocalClusterError

COMMANDS = {"up": journey.up, "install": lambda: bool(install(chosen(), Clock())), "down": journey.down}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python3 -m demo", description=__doc__)
    parser.add_argument("what", choices=COMMANDS)
    asked = parser.parse_args()
    try:
        good = COMMANDS[asked.what]()
    except (CommandFailed, NotInTime, LocalClusterError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
