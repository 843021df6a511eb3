"""`python3 -m demo up` shows the product at work on a real cluster; `python3 -m demo down` removes it all."""

import argparse
import sys

from demo import journey
from demo.kubectl import CommandFailed, NotInTime
from localcluster.errors import LocalClusterError


def main() -> int:
    parser = argparse.ArgumentParser(prog="python3 -m demo", description=__doc__)
    parser.add_argument("what", choices=["up", "down"])
    asked = parser.parse_args()
    try:
        good = journey.up() if asked.what == "up" else journey.down()
    except (CommandFailed, NotInTime, LocalClusterError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
