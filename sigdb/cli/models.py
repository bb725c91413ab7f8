"""`sigdb models`: checkpoints of foundation models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sigdb.cli.options import CovariateOption, ModelOption, WeightsOption, parse_covariates
from sigdb.cli.output import console
from sigdb.errors import needs_extra

app = typer.Typer(
    no_args_is_help=True,
    help="Checkpoints of models.",
    epilog="Example: sigdb models export my-model --model mlp --weights model",
)


@app.command("export", epilog="Example: sigdb models export my-model --model mlp --weights model")
def export(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Where to write it; a folder that is not there yet.")
    ],
    model: ModelOption,
    weights: WeightsOption,
    covariate: CovariateOption = None,
) -> None:
    """Write a model as generic MLP: model.json and model.safetensors, which `--model mlp` reads."""
    with needs_extra("ingest"):
        from ingest.models import load_model, save_mlp
    loaded = load_model(model.value, weights, parse_covariates(covariate or []))
    save_mlp(loaded, folder)
    console.print(f"{folder} is {loaded.name}, {len(loaded.gene_ids):,} genes to {loaded.latent_dim} dimensions.")
