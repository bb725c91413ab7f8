"""`sigdb models`: checkpoints of foundation models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sigdb.cli.commands import Group
from sigdb.cli.ingest import read_model
from sigdb.cli.options import ModelParameters
from sigdb.cli.output import console
from sigdb.cli.parameters import expand_options

app = typer.Typer()
models_app = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    help="Convert checkpoints of models.",
    epilog="Example: sigdb models export my-model --model mlp --weights model",
)
app.add_typer(models_app, name="models")


@models_app.command("export", epilog="Example: sigdb models export my-model --model mlp --weights model")
@expand_options
def export(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder to create.")],
    parameters: ModelParameters,
) -> None:
    """Export a model as a generic MLP: model.json and model.safetensors, which `--model mlp` reads."""
    from sigdb.errors import needs_extra

    with needs_extra("ingest"):
        from ingest.models import save_mlp
    model = read_model(parameters)
    save_mlp(model, folder)
    console.print(f"{folder} is {model.name}, {len(model.gene_ids):,} genes to {model.latent_dim} dimensions.")
