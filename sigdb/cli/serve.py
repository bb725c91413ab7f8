"""`sigdb serve` and `sigdb tokens`: atlases for a team."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated

import typer

from sigdb.cli.commands import Group
from sigdb.cli.options import FormatOption, OutputOption, ServedPath
from sigdb.cli.output import console, dump_table, print_warning
from sigdb.cli.parameters import expand_options
from sigdb.cli.paths import existing, new_file
from sigdb.errors import needs_extra

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sigdb.serve.atlases import Atlases
    from sigdb.serve.gate import Gate, Limits
    from sigdb.serve.server import Address, Door

app = typer.Typer()
tokens_app = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    help="Say who may ask a server: tokens by name, in a file that holds only their hashes.",
    epilog="Example: sigdb tokens add team.tokens ada",
)
app.add_typer(tokens_app, name="tokens")

LISTEN, LIMITS = "Where it listens", "Limits"


@dataclass(frozen=True)
class ServeOptions:
    """The options of `sigdb serve`."""

    token_file: Annotated[
        Path | None,
        typer.Option(
            help="Admit only people with a token of this file. `sigdb tokens add` makes it. Default: everybody on this "
            "machine.",
            callback=existing("token file"),
        ),
    ] = None
    log: Annotated[
        Path | None,
        typer.Option(
            help="Append who asked what to this file, one JSON object a line. Default: standard error.",
            callback=new_file,
        ),
    ] = None
    host: Annotated[
        str,
        typer.Option(help="The address to listen at. 0.0.0.0 is all of this machine.", rich_help_panel=LISTEN),
    ] = "127.0.0.1"
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port of HTTP.", rich_help_panel=LISTEN)] = 8080
    postgres: Annotated[
        int | None,
        typer.Option(
            min=0, max=65535, help="Also listen for clients of Postgres, at this port.", rich_help_panel=LISTEN
        ),
    ] = None
    flight: Annotated[
        int | None,
        typer.Option(
            min=0, max=65535, help="Also listen for clients of Arrow Flight SQL, at this port.", rich_help_panel=LISTEN
        ),
    ] = None
    mcp: Annotated[bool, typer.Option("--mcp", help="Also answer agents (MCP), at /mcp.", rich_help_panel=LISTEN)] = (
        False
    )
    trusted_proxy: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ADDRESS",
            help="Believe this proxy when it says who the client is (X-Forwarded-For, X-Forwarded-Proto): an address "
            "or a network. Repeat the option for several. Default: no proxy.",
            rich_help_panel=LISTEN,
        ),
    ] = None
    tls_cert: Annotated[
        Path | None,
        typer.Option(help="The certificate for TLS (.pem).", callback=existing(), rich_help_panel=LISTEN),
    ] = None
    tls_key: Annotated[
        Path | None,
        typer.Option(help="The key of the certificate (.pem).", callback=existing(), rich_help_panel=LISTEN),
    ] = None
    seconds: Annotated[float, typer.Option(help="The time of one query.", rich_help_panel=LIMITS)] = 60
    memory: Annotated[str, typer.Option(help="The memory of one query.", rich_help_panel=LIMITS)] = "2GB"
    threads: Annotated[
        int | None,
        typer.Option(min=1, help="The threads of one query. Default: one for each core.", rich_help_panel=LIMITS),
    ] = None
    rows: Annotated[int, typer.Option(help="The rows of one result.", rich_help_panel=LIMITS)] = 1_000_000
    bytes: Annotated[int, typer.Option(help="The bytes of one result.", rich_help_panel=LIMITS)] = 256 << 20
    at_once: Annotated[int, typer.Option(help="The queries that run at once. Others wait.", rich_help_panel=LIMITS)] = 4
    per_user: Annotated[
        int, typer.Option(help="The queries of one person that run at once.", rich_help_panel=LIMITS)
    ] = 2


@app.command("serve", epilog="Example: sigdb serve demo.duckdb --token-file team.tokens")
@expand_options
def serve(
    atlas: ServedPath,
    options: ServeOptions,
) -> None:
    """Serve atlases over HTTP: the explorer page, and queries as JSON, CSV or Arrow. Other protocols are options.

    Each query runs on a locked connection, in a process of its own, and within limits. Without tokens, only people on
    this machine can ask. Ctrl-C stops the server, once queries that run have had 5 seconds to end.
    """
    with needs_extra("serve"):
        from sigdb.serve.server import check_address, opened
    from sigdb.serve.atlases import Atlases

    atlases = Atlases(atlas)
    limits, address = limits_of(options), address_of(options)
    gate = make_gate(atlases, options, limits)
    check_address(address, gate)
    check_opens(atlases, limits)
    if gate.tokens is not None and address.tls_cert is None and not address.is_loopback():
        print_warning("Tokens and results go over the network unencrypted: --tls-cert and --tls-key encrypt them.")
    with opened(gate, list(doors_of(options, gate, address))) as addresses:
        for each in addresses:
            console.print(f"{', '.join(atlases.paths())} at {each}", soft_wrap=True)
        gate.processes.warm_up()
        Event().wait()


def doors_of(options: ServeOptions, gate: Gate, address: Address) -> Iterator[Door]:
    """The doors that were asked for."""
    from sigdb.serve.server import HttpDoor

    yield HttpDoor(gate, address, mcp=options.mcp, trusted_proxy=options.trusted_proxy or ())
    if options.postgres is not None:
        from sigdb.serve.postgres import PostgresDoor

        yield PostgresDoor(gate, replace(address, port=options.postgres))
    if options.flight is not None:
        from sigdb.serve.flight import FlightDoor

        yield FlightDoor(gate, replace(address, port=options.flight))


def limits_of(options: ServeOptions) -> Limits:
    """The limits that were given."""
    from sigdb.serve.gate import Limits

    return Limits(
        seconds=options.seconds,
        memory=options.memory,
        threads=options.threads,
        rows=options.rows,
        bytes=options.bytes,
        at_once=options.at_once,
        per_user=options.per_user,
    )


def address_of(options: ServeOptions) -> Address:
    """The address of the HTTP door."""
    from sigdb.serve.server import Address

    return Address(options.host, options.port, options.tls_cert, options.tls_key)


def make_gate(atlases: Atlases, options: ServeOptions, limits: Limits) -> Gate:
    """The gate."""
    from sigdb.serve.gate import Gate
    from sigdb.serve.log import QueryLog
    from sigdb.serve.tokens import Tokens

    tokens = Tokens(options.token_file) if options.token_file else None
    return Gate(atlases, tokens, limits, QueryLog(options.log))


def check_opens(atlases: Atlases, limits: Limits) -> None:
    """Open each atlas once, and warn of those that cannot be opened. Raises AtlasError if that holds for all."""
    from sigdb.connection import connect
    from sigdb.errors import AtlasError

    paths, problems = atlases.paths(), []
    for path in paths.values():
        try:
            connect(path, locked=True, threads=limits.threads, memory_limit=limits.memory).close()
        except AtlasError as error:
            problems.append(error)
    if len(problems) == len(paths):
        raise problems[0]
    for each in problems:
        print_warning(str(each))


TokenFile = Annotated[Path, typer.Argument(metavar="FILE", help="The file of tokens.")]
PersonArgument = Annotated[str, typer.Argument(metavar="NAME", help="The person, as the log calls them.")]


@tokens_app.command("add", epilog="Example: sigdb tokens add team.tokens ada")
def add(file: TokenFile, name: PersonArgument) -> None:
    """Make a token for a person, and print it. It is shown only now: the file has its hash.

    A server that uses the file admits the person at once. The file is made if it does not exist.
    """
    from sigdb.serve.tokens import add_token

    typer.echo(add_token(file, name))


@tokens_app.command("list", epilog="Example: sigdb tokens list team.tokens")
def list_names(file: TokenFile, form: FormatOption = None, output: OutputOption = None) -> None:
    """List who has a token, and since when (UTC)."""
    import pyarrow as pa

    from sigdb.serve.tokens import read_tokens

    found = read_tokens(file)
    dump_table(pa.table({"name": [each.name for each in found], "made": [each.made for each in found]}), form, output)


@tokens_app.command("revoke", epilog="Example: sigdb tokens revoke team.tokens ada")
def revoke(file: TokenFile, name: PersonArgument) -> None:
    """Remove the token of a person. A server that uses the file refuses it from the next query on."""
    from sigdb.serve.tokens import revoke_token

    revoke_token(file, name)
    console.print(f"{name} has no token any more.")
