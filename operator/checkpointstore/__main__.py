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
    from .kernel.errors import Refused
    from .runtime import handlers, settings

    try:
        told = settings.read()
    except Refused as error:
        typer.echo(f"{error.message}: the chart sets it", err=True)
        raise typer.Exit(2) from None
    handlers.run(told)


@job.command()
def schema() -> None:
    """Make roles and tables of one store; reads CHECKPOINTSTORE_JOB."""
    from .jobs.schema import run

    raise typer.Exit(run())


@job.command()
def retention() -> None:
    """Remove checkpoints beyond one store's policy; reads CHECKPOINTSTORE_JOB."""
    from .jobs.retention import run

    raise typer.Exit(run())


@job.command()
def tiering() -> None:
    """Move threads that nobody writes to into an object store; reads CHECKPOINTSTORE_JOB."""
    from .jobs.tiering import run

    raise typer.Exit(run())


@job.command()
def blobs() -> None:
    """Remove values outside that no row refers to; reads CHECKPOINTSTORE_JOB."""
    from .jobs.blobs import run

    raise typer.Exit(run())


@job.command()
def deletions() -> None:
    """Delete again, in a recovered database, what had been deleted; reads CHECKPOINTSTORE_JOB."""
    from .jobs.deletions import run

    raise typer.Exit(run())


@job.command()
def erasure() -> None:
    """Remove what a deleted store has in its tier's object store; reads CHECKPOINTSTORE_JOB."""
    from .jobs.erasure import run

    raise typer.Exit(run())


@job.command()
def program(folder: Annotated[Path, typer.Argument(help="Where to copy the programs to.")]) -> None:
    """Bring the programs that work on a repository into another image's pod."""
    from .jobs.program import run

    run(folder)


@app.command()
def recall() -> None:
    """Bring back the threads of one store that applications ask for, for ever; reads CHECKPOINTSTORE_JOB."""
    from .jobs.recall import run

    run()


@app.command()
def crd(
    folder: Annotated[Path | None, typer.Argument(help="Where to write; standard output when absent.")] = None,
    reference: Annotated[Path | None, typer.Option(help="Write the API reference, in Markdown, to this file.")] = None,
    check: Annotated[bool, typer.Option(help="Write nothing; name what is out of date and end with 1.")] = False,
) -> None:
    """Write the CustomResourceDefinitions, and the page that explains them."""
    from .api import crd
    from .api import reference as page

    texts = crd.files()
    files = {folder / name: text for name, text in texts.items()} if folder else {}
    if reference:
        files[reference] = page.markdown(crd.checkpointstores(), crd.checkpointbackups())
    if not files:
        typer.echo("".join(texts.values()), nl=False)
    stale = [path for path, text in files.items() if not path.exists() or path.read_text("utf-8") != text]
    for path in stale:
        if check:
            typer.echo(f"{path} is out of date: run `make generated`", err=True)
        else:
            path.write_text(files[path], "utf-8")
    raise typer.Exit(1 if check and stale else 0)


@app.command()
def console() -> None:
    """Serve the web console, which shows each store to whoever may see it."""
    from .console import server, settings
    from .kernel.errors import StoreError
    from .runtime import log

    told = settings.read()
    log.configure(told.log_level)
    try:
        server.run(told)
    except (StoreError, OSError) as error:
        typer.echo(f"no console: {error}", err=True)
        raise typer.Exit(1) from None


@app.command()
def report(
    store: Annotated[str, typer.Argument(help="The CheckpointStore's name.")],
    namespace: Annotated[
        str | None, typer.Option("--namespace", "-n", help="Its namespace; the kubeconfig's when absent.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The archive to write; STORE-report-TIME.tar.gz when absent.")
    ] = None,
) -> None:
    """Put all that can be known about a store into one archive, secrets left out."""
    from .kernel.errors import StoreError
    from .report import collect

    try:
        file = collect.run(store, namespace, output, typer.echo)
    except (StoreError, OSError) as error:
        typer.echo(f"no report: {error}", err=True)
        raise typer.Exit(1) from None
    typer.echo(f"wrote {file}")


@app.command()
def largest(
    store: Annotated[str, typer.Argument(help="The CheckpointStore's name.")],
    namespace: Annotated[
        str | None, typer.Option("--namespace", "-n", help="Its namespace; the kubeconfig's when absent.")
    ] = None,
    count: Annotated[int, typer.Option(min=1, max=1000, help="How many threads to name.")] = 10,
) -> None:
    """Name the threads whose newest checkpoints are largest, and the channel that makes each so."""
    from .kernel.errors import StoreError
    from .report import largest

    try:
        typer.echo(largest.run(store, namespace, count), nl=False)
    except (StoreError, OSError) as error:
        typer.echo(f"cannot tell: {error}", err=True)
        raise typer.Exit(1) from None


if __name__ == "__main__":
    app()
