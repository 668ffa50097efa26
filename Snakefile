"""The results chapter: params/*.yaml -> runs/ -> figures/, for whatever data there is.

A variant is <dataset>--<split>; it exists when params/03_results--<variant>.yaml does. It is run when
its data set is found under $QOE_DATA, or, with no data at all, when it is the simulated corpus, which
is then built first (another one: --config corpus=simulated_small). Each job runs one notebook
through papermill, as one would by hand; rows of one variant and kind share one, since a start takes
longer than most of them:

    cd notebooks
    papermill 02_train.ipynb by_hand.ipynb -f ../params/02_train--VARIANT.yaml -p model gru
"""

import json

import torch
import yaml

from qoe_core import library, paths
from qoe_core.datasets import catalog
from qoe_core.models.table_rows import ENSEMBLE, NETWORKS, OURS

if paths.DATA is not None and not catalog.found():
    folders = ", ".join(release.folder for release in catalog.RELEASES)
    raise ValueError(
        f"QOE_DATA is {paths.DATA}, which holds none of the folders {folders}; "
        "is it the folder above them? Unset QOE_DATA to run on simulated sessions"
    )
DATASETS = catalog.found() or [config.get("corpus", library.SIMULATED)]
PARAMS = {p.stem: yaml.safe_load(p.read_text()) for p in sorted(paths.PARAMS.glob("*.yaml"))}


def variants(notebook):
    """Variants of a notebook whose data set is there."""
    found = {stem: values for stem, values in PARAMS.items() if stem.startswith(f"{notebook}--")}
    return [s.split("--", 1)[1] for s, v in found.items() if v["dataset"] in DATASETS]


def runs_of(models):
    """Predictions that a variant's notebook reads: one table a model that its params list."""
    return lambda wildcards: [
        f"{RUNS}/chapter/{wildcards.variant}/{model}/predictions.parquet"
        for model in PARAMS[f"{models}--{wildcards.variant}"]["models"]
    ]


def runs_of_trials(wildcards):
    """Predictions under Video ATLAS' random trials that a variant's 09_overall shows."""
    values = PARAMS[f"09_overall--{wildcards.variant}"]
    return [
        f"{RUNS}/chapter/{values['dataset']}--video-atlas/{model}/predictions.parquet"
        for model in values.get("trials", [])
    ]


def under_splits(given):
    """Rows that a params file of the protocol chapter reads under other splits, with variants."""
    rows = *CHEAP, given["network"]
    stopping = [given["stopping"]] if "stopping" in given else []
    read = [("released", row) for row in stopping]
    for key in given["trained"]:
        read += [(key, row) for row in (stopping if key == RELATED else rows)]
    return [(f"{given['dataset']}--{key}", row) for key, row in read]


def runs_of_protocol(wildcards):
    """Predictions that the protocol chapter reads: its variant's, and those under other splits."""
    read = under_splits(PARAMS[f"05_protocol--{wildcards.variant}"])
    of_splits = [f"{RUNS}/chapter/{variant}/{row}/predictions.parquet" for variant, row in read]
    return runs_of("05_protocol")(wildcards) + of_splits


def runs_explained(wildcards):
    """Predictions of the networks that a variant of the attention chapter looks into."""
    given = PARAMS[f"06_attention--{wildcards.variant}"]
    models = [model for model in (given["model"], given["frames_model"]) if model]
    return [f"{RUNS}/chapter/{wildcards.variant}/{model}/predictions.parquet" for model in models]


def peers(group):
    """Variants of a group of the peers chapter whose data set is there."""
    listed = PARAMS[f"10_peers--{group}"]["variants"]
    return [variant for variant in listed if variant.split("--")[0] in DATASETS]


def peer_groups():
    """Groups of the peers chapter of which at least one variant is there."""
    groups = [stem.split("--", 1)[1] for stem in PARAMS if stem.startswith("10_peers--")]
    return [group for group in groups if peers(group)]


def runs_of_peers(wildcards):
    """Predictions of all variants of a group, the params that list their models, and corpora."""
    params = {variant: f"03_results--{variant}" for variant in peers(wildcards.group)}
    datasets = [variant.split("--")[0] for variant in params]
    corpora = [f"{paths.CORPORA}/{d}/corpus.json" for d in datasets if library.is_simulated(d)]
    return corpora + [f"params/{stem}.yaml" for stem in params.values()] + [
        f"{RUNS}/chapter/{variant}/{model}/predictions.parquet"
        for variant, stem in params.items()
        for model in PARAMS[stem]["models"]
    ]


def runs_explored(wildcards):
    """Predictions that a variant's explorer shows first."""
    given = PARAMS[f"07_explorer--{wildcards.variant}"]
    models = {*given["models"], given["network"]}
    return [f"{RUNS}/chapter/{wildcards.variant}/{model}/predictions.parquet" for model in models]


def read_by(stem):
    """Rows of runs that a params file names, each with its variant."""
    values = PARAMS[stem]
    variant = stem.split("--", 1)[1]
    named = [values.get(key) or [] for key in ("models", "model", "frames_model", "network")]
    rows = [row for found in named for row in ([found] if isinstance(found, str) else found)]
    trials = f"{values.get('dataset')}--video-atlas"
    elsewhere = under_splits(values) if "trained" in values else []
    elsewhere += [(trials, row) for row in values.get("trials", [])]
    return [(variant, row) for row in rows] + elsewhere


def kind(row):
    """Rows of one kind are trained by one job: ours, other networks, all else."""
    base = row.split("-")[0]
    return "ours" if base == OURS else "networks" if base in NETWORKS else "quick"


def jobs(variant):
    """Rows of a variant that any notebook reads, by kind; ensembles last, after their members."""
    stems = [stem for stem in PARAMS if not stem.startswith(("02_train--", "simulate--"))]
    read = [row for stem in stems for of, row in read_by(stem) if of == variant]
    ordered = sorted(dict.fromkeys(read), key=lambda row: row.endswith(ENSEMBLE))
    return {k: [row for row in ordered if kind(row) == k] for k in map(kind, ordered)}


def corpus_of(wildcards):
    """The corpus that a job reads, or nothing where its data set is a released one."""
    dataset = wildcards.get("dataset") or wildcards.variant.split("--")[0]
    return [f"{paths.CORPORA}/{dataset}/corpus.json"] if library.is_simulated(dataset) else []


def sources(*patterns):
    """Modules of qoe_core that a job runs through; reading them re-runs it when they change."""
    return sorted(str(p) for pattern in patterns for p in (paths.ROOT / "qoe_core").glob(pattern))


RUNS, FIGURES = paths.RUNS, paths.FIGURES
RELATED = "released-related"  # the released lists, stopped early as LSTM-QoE was
LONG = ("--released", f"--{RELATED}", "--strict")  # splits with a fold a session or nearly so
LONG_NOTEBOOK = 1  # a minute or two, beside the shortest training; all others last, so that cores end together
CHEAP = ("mean-curve", "lookup", "ridge")  # that 05_protocol shows under all splits
CORPUS_CODE = sources("simulate/*.py", "datasets/release.py", "session.py")
DATA_CODE = sources("session.py", "library.py", "datasets/*.py", "simulate/corpus.py")
FRAME_CODE = sources(
    "videos.py", "frames.py", "weights.py", "backbones.py", "motion.py", "extraction.py",
    "store.py", "entry_file.py", "file_function.py", "cache.py",
)  # fmt: skip
VIDEO_CODE = FRAME_CODE + sources("video_report.py", "filmstrip.py")
TRAIN_CODE = DATA_CODE + FRAME_CODE + sources(
    "kernels.py", "split.py", "splits.py", "qos.py", "batches.py", "loading.py", "losses.py", "checkpoint.py",
    "train_config.py", "stack.py", "epoch.py", "training.py", "inputs.py", "models/*.py", "peers/*.py",
    "pairs.py", "metric_loops.py", "metrics.py", "predictions.py", "ensemble.py", "units.py", "experiment.py",
)  # fmt: skip
SHOW_CODE = sources("manifest.py", "figures.py", "overview.py", "traces.py")
TABLE_CODE = sources(
    "kernels.py", "pairs.py", "metric_loops.py", "metrics.py", "statistics.py", "bootstrap.py", "resampled_metrics.py", "blocks.py", "tables.py", "pooled.py", "claims.py"
)
# Without a grammar of internet addresses, which would take longer to load than all else of papermill
START = 'import sys; sys.modules["rfc3987_syntax"] = None; from papermill.cli import papermill; papermill()'
PAPERMILL = (
    f"exec setpriv --pdeathsig KILL python -c '{START}' "
    "{input.notebook} {output.notebook} -f {input.params} --cwd notebooks -k python3 "
    "--no-progress-bar --log-output --log-level WARNING"
)


wildcard_constraints:
    corpus="simulated[a-z0-9_]*",
    dataset="[a-z0-9_]+",
    variant="[a-z0-9_]+--[a-z-]+",
    model="[a-z0-9_-]+",


rule results:
    input:
        # the notebook too, without which a clone's figures would count as made or not by their times
        expand("{runs}/notebooks/00_data--{dataset}.ipynb", runs=RUNS, dataset=variants("00_data")),
        expand("{runs}/notebooks/01_features--{dataset}.ipynb", runs=RUNS, dataset=variants("01_features")),
        expand("{figures}/03_results/{variant}.csv", figures=FIGURES, variant=variants("03_results")),
        expand("{figures}/04_traces/{variant}.pdf", figures=FIGURES, variant=variants("04_traces")),
        expand("{figures}/05_protocol/{variant}-splits.pdf", figures=FIGURES, variant=variants("05_protocol")),
        expand("{figures}/06_attention/{variant}.txt", figures=FIGURES, variant=variants("06_attention")),
        expand("{runs}/notebooks/07_explorer--{variant}.ipynb", runs=RUNS, variant=variants("07_explorer")),
        expand("{figures}/08_ablation/{variant}.csv", figures=FIGURES, variant=variants("08_ablation")),
        expand("{figures}/09_overall/{variant}.csv", figures=FIGURES, variant=variants("09_overall")),
        expand("{figures}/10_peers/{group}.csv", figures=FIGURES, group=peer_groups()),


rule corpus:
    message: "simulated corpus: {wildcards.corpus}"
    input:
        CORPUS_CODE,
        params="params/simulate--{corpus}.yaml",
    output:
        f"{paths.CORPORA}/{{corpus}}/corpus.json",
    threads: workflow.cores
    shell:
        "exec setpriv --pdeathsig KILL python -m qoe_core.simulate {wildcards.corpus}"


rule data:
    message: "00_data: {wildcards.dataset}"
    input:
        corpus_of,
        DATA_CODE,
        SHOW_CODE,
        notebook="notebooks/00_data.ipynb",
        params="params/00_data--{dataset}.yaml",
    output:
        f"{FIGURES}/00_data/{{dataset}}.pdf",
        f"{FIGURES}/00_data/{{dataset}}.png",
        f"{FIGURES}/00_data/{{dataset}}-summary.csv",
        notebook=f"{RUNS}/notebooks/00_data--{{dataset}}.ipynb",
    priority: 9  # a release that is not as it should be is found before hours of training
    shell:
        PAPERMILL


rule features:
    message: "01_features: {wildcards.dataset}"
    input:
        corpus_of,
        DATA_CODE,
        VIDEO_CODE,
        SHOW_CODE,
        notebook="notebooks/01_features.ipynb",
        params="params/01_features--{dataset}.yaml",
    output:
        f"{FIGURES}/01_features/{{dataset}}.pdf",
        f"{FIGURES}/01_features/{{dataset}}.png",
        f"{FIGURES}/01_features/{{dataset}}-cost.csv",
        notebook=f"{RUNS}/notebooks/01_features--{{dataset}}.ipynb",
    threads: workflow.cores
    resources:
        gpu=1,
    shell:
        PAPERMILL


for variant in variants("02_train"):
    for one_kind, rows in jobs(variant).items():

        rule:
            name:
                f"train_{variant}_{one_kind}".replace("-", "_")
            message:
                f"02_train: {' '.join(rows)}, {variant}"
            input:
                [f"{paths.CORPORA}/{d}/corpus.json" for d in [variant.split("--")[0]] if library.is_simulated(d)],
                TRAIN_CODE,
                notebook="notebooks/02_train.ipynb",
                params=f"params/02_train--{variant}.yaml",
            output:
                [f"{RUNS}/chapter/{variant}/{row}/predictions.parquet" for row in rows],
                [f"{FIGURES}/02_train/chapter--{variant}--{row}.pdf" for row in rows],
                notebook=f"{RUNS}/notebooks/02_train--{variant}--{one_kind}.ipynb",
            params:
                rows=" ".join(rows),
            # jobs side by side, long ones first: one that has all cores leaves them idle while it starts
            priority: 1 + (one_kind != "quick") + 2 * variant.endswith(LONG)
            resources:
                gpu=int(one_kind != "quick" and torch.cuda.is_available()),
            shell:
                PAPERMILL + " -p study chapter -p model {params.rows:q} -p workers {threads}"


rule tables:
    message: "03_results: {wildcards.variant}"
    input:
        runs_of("03_results"),
        TABLE_CODE,
        SHOW_CODE,
        notebook="notebooks/03_results.ipynb",
        params="params/03_results--{variant}.yaml",
        published="qoe_core/published.csv",
    output:
        f"{FIGURES}/03_results/{{variant}}.csv",
        f"{FIGURES}/03_results/{{variant}}.txt",
        f"{FIGURES}/03_results/{{variant}}-forest.pdf",
        notebook=f"{RUNS}/notebooks/03_results--{{variant}}.ipynb",
    priority: LONG_NOTEBOOK
    shell:
        PAPERMILL


rule attention:
    message: "06_attention: {wildcards.variant}"
    input:
        corpus_of,
        runs_explained,
        TRAIN_CODE,
        SHOW_CODE,
        sources(
            "runs.py", "bootstrap.py", "trained.py", "attribution.py", "attention_maps.py", "pixel_saliency.py",
            "events.py", "sanity.py", "attribution_figures.py",
        ),
        notebook="notebooks/06_attention.ipynb",
        params="params/06_attention--{variant}.yaml",
    output:
        # no -pixels without videos
        expand(
            "{figures}/06_attention/{{variant}}-{subject}.pdf",
            figures=FIGURES,
            subject=("attention", "attributions", "events", "checks"),
        ),
        f"{FIGURES}/06_attention/{{variant}}-checks.csv",
        f"{FIGURES}/06_attention/{{variant}}.txt",
        notebook=f"{RUNS}/notebooks/06_attention--{{variant}}.ipynb",
    shell:
        PAPERMILL


rule explorer:
    message: "07_explorer: {wildcards.variant}"
    input:
        corpus_of,
        runs_explored,
        TRAIN_CODE,
        SHOW_CODE,
        sources(
            "runs.py", "trained.py", "attribution.py", "attention_maps.py", "pixel_saliency.py", "selection.py",
            "explanation.py", "what_if.py", "incremental.py", "decimation.py", "explorer_figures.py", "widgets/*.py",
        ),
        notebook="notebooks/07_explorer.ipynb",
        params="params/07_explorer--{variant}.yaml",
    output:
        notebook=f"{RUNS}/notebooks/07_explorer--{{variant}}.ipynb",
    shell:
        PAPERMILL


rule ablation:
    message: "08_ablation: {wildcards.variant}"
    input:
        corpus_of,
        runs_of("08_ablation"),
        TRAIN_CODE,
        TABLE_CODE,
        SHOW_CODE,
        sources("ablation.py", "cost.py"),
        notebook="notebooks/08_ablation.ipynb",
        params="params/08_ablation--{variant}.yaml",
    output:
        f"{FIGURES}/08_ablation/{{variant}}.csv",
        f"{FIGURES}/08_ablation/{{variant}}.txt",
        f"{FIGURES}/08_ablation/{{variant}}-differences.pdf",
        notebook=f"{RUNS}/notebooks/08_ablation--{{variant}}.ipynb",
    shell:
        PAPERMILL


rule overall:
    message: "09_overall: {wildcards.variant}"
    input:
        runs_of("09_overall"),
        runs_of_trials,
        DATA_CODE,
        TABLE_CODE,
        SHOW_CODE,
        sources("overall_scores.py", "overall.py", "trials.py"),
        notebook="notebooks/09_overall.ipynb",
        params="params/09_overall--{variant}.yaml",
    output:
        f"{FIGURES}/09_overall/{{variant}}.csv",
        f"{FIGURES}/09_overall/{{variant}}-comparisons.csv",
        f"{FIGURES}/09_overall/{{variant}}.tex",
        f"{FIGURES}/09_overall/{{variant}}.txt",
        f"{FIGURES}/09_overall/{{variant}}-forest.pdf",
        notebook=f"{RUNS}/notebooks/09_overall--{{variant}}.ipynb",
    shell:
        PAPERMILL


rule peers:
    message: "10_peers: {wildcards.group}"
    input:
        runs_of_peers,
        TRAIN_CODE,
        TABLE_CODE,
        SHOW_CODE,
        sources("ranking.py", "peer_table.py", "cost.py", "trained.py", "cost_accuracy.py", "peer_figures.py"),
        notebook="notebooks/10_peers.ipynb",
        params="params/10_peers--{group}.yaml",
        published="qoe_core/published.csv",
    output:
        f"{FIGURES}/10_peers/{{group}}.csv",
        f"{FIGURES}/10_peers/{{group}}.txt",
        f"{FIGURES}/10_peers/{{group}}-cost.pdf",
        notebook=f"{RUNS}/notebooks/10_peers--{{group}}.ipynb",
    priority: LONG_NOTEBOOK
    params:
        found=lambda wildcards: json.dumps({"variants": peers(wildcards.group)}),
    shell:
        PAPERMILL + " -y {params.found:q}"


rule traces:
    message: "04_traces: {wildcards.variant}"
    input:
        runs_of("04_traces"),
        SHOW_CODE,
        notebook="notebooks/04_traces.ipynb",
        params="params/04_traces--{variant}.yaml",
    output:
        f"{FIGURES}/04_traces/{{variant}}.pdf",
        f"{FIGURES}/04_traces/{{variant}}.png",
        notebook=f"{RUNS}/notebooks/04_traces--{{variant}}.ipynb",
    shell:
        PAPERMILL


rule protocol:
    message: "05_protocol: {wildcards.variant}"
    input:
        corpus_of,
        runs_of_protocol,
        TRAIN_CODE,
        TABLE_CODE,
        SHOW_CODE,
        sources("declared_scale.py", "protocol*.py"),
        notebook="notebooks/05_protocol.ipynb",
        params="params/05_protocol--{variant}.yaml",
    output:
        # no -stopping without released lists, no -outliers without confidence intervals
        expand(
            "{figures}/05_protocol/{{variant}}-{subject}.{suffix}",
            figures=FIGURES,
            subject=("aggregation", "onset", "scale", "splits", "dependence"),
            suffix=("pdf", "png"),
        ),
        notebook=f"{RUNS}/notebooks/05_protocol--{{variant}}.ipynb",
    priority: LONG_NOTEBOOK
    shell:
        PAPERMILL + " -p workers {threads}"
