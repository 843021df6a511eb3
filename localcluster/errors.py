"""Errors that a person reads: each message says what is wrong and what to do."""


class LocalClusterError(Exception):
    """What went wrong and what to do, in one or two sentences; the command line prints nothing else."""


class CommandFailed(LocalClusterError):
    """A program that was run ended with an error; carries its exit code and what it printed."""

    def __init__(self, argv: list[str], code: int, output: str) -> None:
        self.code = code
        self.output = output
        tail = "\n".join("    " + line for line in output.strip().splitlines()[-15:])
        super().__init__(f"`{' '.join(argv)}` ended with {code}:\n{tail}")


class Unsupported(LocalClusterError):
    """This kind of cluster cannot do that; tests that need it are to be left out."""
