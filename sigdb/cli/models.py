"""`sigdb models`: checkpoints of foundation models."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated

import typer

from sigdb.cli.commands import Group
from sigdb.cli.ingest import read_model
from sigdb.cli.ingest_options import (
    CovariatesOption,
    DepthOption,
    DictionariesOption,
    MaxLengthOption,
    MethodOption,
    ModelOption,
    ModelParameters,
    PoolOption,
    QuadratureOption,
    SummationOption,
)
from sigdb.cli.options import (
    DeviceOption,
    FormatOption,
    LayerOption,
    MinGenesOption,
    OutputOption,
    PageOption,
    StepsOption,
)
from sigdb.cli.output import console, dump_table, is_for_people, print_note, print_written
from sigdb.cli.parameters import expand_options
from sigdb.cli.paths import existing

app = typer.Typer()
models_app = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    help="Convert checkpoints of models, and check how well they are explained.",
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


@dataclass(frozen=True, kw_only=True)
class CheckOptions:
    """The options of `sigdb models check`."""

    cells: Annotated[
        Path,
        typer.Option(
            metavar="FILE",
            help="A file of raw counts, as for `sigdb ingest`, to draw the cells from.",
            callback=existing("file or folder"),
        ),
    ]
    model: ModelOption
    covariates: CovariatesOption = field(default_factory=list)
    depth: DepthOption = None
    pool: PoolOption = None
    max_length: MaxLengthOption = None
    dictionaries: DictionariesOption = None
    method: MethodOption = "ig"
    n_steps: StepsOption = 50
    quadrature: QuadratureOption = "gausslegendre"
    summation: SummationOption = None
    n_cells: Annotated[int, typer.Option(min=10, help="The number of cells to draw.")] = 100
    seed: Annotated[int, typer.Option(help="Of the sample, of random orders and of shuffled weights.")] = 0
    layer: LayerOption = None
    min_genes: MinGenesOption = None
    device: DeviceOption = "auto"
    page: PageOption = None
    form: FormatOption = None
    output: OutputOption = None


@models_app.command(
    "check", epilog="Example: sigdb models check model --model mlp --cells study.h5ad --page check.html"
)
@expand_options
def check(
    weights: Annotated[
        list[Path],
        typer.Argument(
            metavar="MODEL...",
            help="The folder of the model. More: other checkpoints of it, to see if they agree.",
            callback=existing("model folder"),
        ),
    ],
    options: CheckOptions,
) -> None:
    """Test how good the explanation of a model is, on a sample of cells.

    Deletion and insertion of genes, infidelity, shuffled weights, doubled steps, another baseline and summation.
    """
    from ingest.options import Compute, Method
    from sigdb.errors import needs_extra

    method = Method(options.method, options.summation, options.n_steps, options.quadrature)
    with needs_extra("ingest"):
        from ingest.check.check import check_model
    about = {each.name: getattr(options, each.name) for each in fields(ModelParameters) if each.name != "weights"}
    models = [read_model(ModelParameters(weights=path, **about)) for path in weights]
    found = check_model(
        models,
        options.cells,
        method,
        n_cells=options.n_cells,
        seed=options.seed,
        layer=options.layer,
        min_genes=options.min_genes,
        compute=Compute(options.device),
    )
    dump_table(found.table, options.form, options.output)
    if is_for_people(options.form, options.output):
        for note in (*found.notes, found.verdict):
            print_note(note)
    if options.page is not None:
        found.write(options.page)
        print_written(options.page, "the page")
