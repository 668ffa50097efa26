"""Sentences from hand-made tables: nothing is said that the intervals do not hold."""

import numpy as np
import pandas as pd
import pytest

from qoe_core.claims import model_claims, network_claims
from qoe_core.models.variants import OURS

UNDEFINED = (np.nan, np.nan, np.nan, np.nan)


def row(model, metric, difference=UNDEFINED, reference="", **changes):
    """A row as `tables.results` makes it; `difference` is mean, low, high and Holm's p."""
    names = ("diff_mean", "diff_low", "diff_high", "p_holm")
    fields = {
        "dataset": "tiny",
        "split": "leave-content-out",
        "target": "continuous",
        "part": "test",
        "model": model,
        "metric": metric,
        "seeds": 3 if model == OURS else 1,
        "n": 40,
        "contents": 10,
        "undefined": 0,
        "reference": reference,
        **dict(zip(names, difference, strict=True)),
    }
    return {**fields, **changes}


def table(*rows):
    return pd.DataFrame(list(rows))


def against_ridge(metric, difference, **changes):
    """The network and the best baseline, on one metric."""
    of_network = row(OURS, metric, difference, "ridge", **changes)
    return of_network, row("ridge", metric, **{**changes, "undefined": 0})


def body(claims):
    """What stands behind the counts."""
    (sentence,) = claims["sentence"]
    return sentence.split(": ", 1)[1]


def test_a_sentence_names_data_split_target_sessions_contents_and_seeds():
    found = network_claims(table(*against_ridge("plcc", (0.1, 0.05, 0.15, 0.01))))
    (sentence,) = found["sentence"]
    assert sentence.startswith(
        "tiny, leave-content-out, continuous QoE, 40 test sessions of 10 contents, "
        f"{OURS} (3 seeds) against the best baseline of each metric: "
    )


@pytest.mark.parametrize(
    ("metric", "difference", "expected"),
    [
        ("plcc", (0.1, 0.05, 0.15, 0.01), "PLCC: better than ridge (1 seed), "),
        ("plcc", (-0.1, -0.15, -0.05, 0.01), "PLCC: worse than ridge (1 seed), "),
        ("rmse", (-0.1, -0.15, -0.05, 0.01), "RMSE x100: better than ridge (1 seed), "),
        ("rmse", (0.1, 0.05, 0.15, 0.01), "RMSE x100: worse than ridge (1 seed), "),
        ("plcc", (0.1, -0.01, 0.2, 0.2), "PLCC: no evidence of a difference from ridge (1 seed), "),
        ("plcc", (0.1, 0.0, 0.2, 0.01), "PLCC: no evidence of a difference from ridge (1 seed), "),
    ],
)
def test_the_word_follows_from_interval_and_direction(metric, difference, expected):
    assert body(network_claims(table(*against_ridge(metric, difference)))).startswith(expected)


def test_a_difference_stands_with_its_interval():
    found = network_claims(table(*against_ridge("plcc", (0.1, -0.0501, 0.2, 0.2))))
    assert body(found).endswith("difference 0.100 [-0.050, 0.200].")


def test_errors_are_times_100_and_a_bound_beside_0_keeps_its_sign():
    found = network_claims(table(*against_ridge("rmse", (-0.01, -0.02, -0.00001, 0.02))))
    assert "difference -1.00 [-2.00, -0.001], " in body(found)


@pytest.mark.parametrize(("p_holm", "words"), [(0.049, "also"), (0.05, "but not")])
def test_a_claim_says_whether_it_survives_holm(p_holm, words):
    rows = against_ridge("plcc", (0.1, 0.05, 0.15, p_holm))
    rival = row("gru", "plcc", (-0.1, -0.2, -0.05, 0.01), "ridge")
    found = body(network_claims(table(*rows, rival)))
    assert found.endswith(f", {words} after Holm over 2 models.")


def test_what_is_no_evidence_says_nothing_of_holm():
    found = network_claims(table(*against_ridge("plcc", (0.1, -0.1, 0.2, 0.5))))
    assert "Holm" not in body(found)


def test_undefined_scores_of_the_network_are_counted():
    found = network_claims(table(*against_ridge("plcc", (0.1, -0.1, 0.2, 0.5), undefined=4)))
    assert body(found).endswith(", 4 of the network's scores undefined and left out.")


def test_an_undefined_metric_claims_nothing():
    found = network_claims(table(row(OURS, "plcc"), row("ridge", "plcc")))
    assert body(found) == "PLCC: no difference is defined, so nothing can be claimed."


def test_metrics_come_in_one_order_and_others_are_left_out():
    rows = [
        each for metric in ("rmse", "krocc", "plcc") for each in against_ridge(metric, UNDEFINED)
    ]
    found = body(network_claims(table(*rows)))
    assert [clause.partition(":")[0] for clause in found.split("; ")] == ["PLCC", "RMSE x100"]


@pytest.mark.parametrize(("contents", "warned"), [(2, True), (5, True), (6, False)])
def test_few_contents_are_warned_of(contents, warned):
    found = network_claims(table(*against_ridge("plcc", UNDEFINED, contents=contents)))
    warning = f"; the intervals rest on only {contents} contents and are too narrow."
    assert body(found).endswith(warning) == warned


def test_a_single_content_claims_nothing():
    difference = (0.1, 0.05, 0.15, 0.01)
    found = network_claims(table(*against_ridge("plcc", difference, contents=1)))
    (sentence,) = found["sentence"]
    assert "40 test sessions of 1 content, " in sentence
    assert body(found) == "a single content has no interval, so nothing can be claimed."


@pytest.mark.parametrize("claims", [network_claims, model_claims])
def test_a_table_without_the_network_claims_nothing_of_it(claims):
    found = claims(table(row("ridge", "plcc"), row("gru", "plcc")))
    assert body(found) == f"{OURS} is not among the models, so nothing can be claimed of it."


def test_every_data_set_split_and_target_has_its_sentence():
    rows = [
        row(OURS, "plcc", dataset=dataset, target=target)
        for dataset in ("tiny", "other")
        for target in ("continuous", "overall")
    ]
    found = network_claims(table(*rows))
    assert list(found.columns) == ["dataset", "split", "target", "sentence"]
    assert list(zip(found["dataset"], found["target"], strict=True)) == [
        *(("tiny", "continuous"), ("tiny", "overall")),
        *(("other", "continuous"), ("other", "overall")),
    ]


def test_train_and_validation_parts_say_nothing():
    assert network_claims(table(row(OURS, "plcc", part="train"))).empty


def test_every_model_is_named_under_the_verdict_of_its_interval():
    found = model_claims(
        table(
            row("constant", "plcc"),
            row("ridge", "plcc", (0.1, 0.05, 0.15, 0.01), OURS),
            row("ridge, trace mean", "plcc", (0.1, 0.01, 0.15, 0.2), OURS),
            row("gru", "plcc", (-0.1, -0.15, -0.05, 0.01), OURS),
            row("tcn", "plcc", (-0.1, -0.2, 0.05, 0.9), OURS),
            row(OURS, "plcc"),
        )
    )
    assert body(found) == (
        "PLCC: better ridge, ridge by trace mean (not after Holm) | worse gru | no evidence tcn | "
        "undefined constant."
    )
    assert f"every model against {OURS} (3 seeds)" in found["sentence"][0]


def test_the_network_alone_has_no_other_model():
    assert body(model_claims(table(row(OURS, "plcc")))) == "PLCC: no other model."


def test_another_reference_than_the_network_is_refused(refuses):
    rows = against_ridge("plcc", (0.1, 0.05, 0.15, 0.01))
    with refuses(
        f"the table compares with ['ridge'], expected with {OURS!r} alone; was `tables.results` "
        "called without this reference?"
    ):
        model_claims(table(*rows))
