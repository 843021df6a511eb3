"""The command line: the operator, its Jobs, and what people and the build need of them."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
job = typer.Typer(help="Run one of the operator's Jobs, as Kubernetes does.", no_args_is_help=True)
app.add_typer(job, name="job")


@app.command()
def operator() -> None:
    """Serve every CheckpointStore of the cluster, or of the namespaces in CHECKPOINTSTORE_NAMESPACES."""
    from .runtime import handlers, settings

    handlers.run(settings.read())


@job.command()
def schema() -> None:
    """Make roles and tables of one store; reads CHECKPOINTSTORE_JOB."""
    from .jobs.schema import run

    raise typer.Exit(run())


@app.command()
def crd(
    folder: Annotated[Path | None, typer.Argument(help="Where to write; standard output when absent.")] = None,
) -> None:
    """Write the CustomResourceDefinitions."""
    from .api.crd import files

    for name, text in files().items():
        if folder is None:
            typer.echo(text)
        else:
            (folder / name).write_text(text)


if __name__ == "__main__":
    app()
