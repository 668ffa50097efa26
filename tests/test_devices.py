"""Training on a GPU and in mixed precision, against float32 on the CPU."""

from dataclasses import replace

import pytest
import torch

from qoe_core.models.recurrent import Recurrent, RecurrentConfig
from qoe_core.train_config import TrainConfig
from qoe_core.training import fit, resolve_device

SHORT = TrainConfig(n_epochs=4, batch_size=4, device="cpu")


def gru(dropout=0.1):
    torch.manual_seed(0)
    return Recurrent(3, RecurrentConfig(hidden=8, dropout=dropout))


def trained(examples, config=SHORT):
    return fit(gru(), examples[:7], examples[7:], config, 0)


def test_bfloat16_is_close_to_float32(examples):
    wide = trained(examples, replace(SHORT, n_epochs=12))
    narrow = trained(examples, replace(SHORT, n_epochs=12, precision="bfloat16"))
    # bfloat16 has 8 bits of significand: about 0.4 % each product
    assert narrow["train/loss"].tolist() == pytest.approx(wide["train/loss"].tolist(), rel=0.02)


def test_bfloat16_is_used_where_it_is_asked_for(examples):
    mixed = TrainConfig(n_epochs=4, batch_size=4, device="cpu", precision="bfloat16")
    assert not trained(examples).equals(trained(examples, mixed))


@pytest.mark.skipif(
    not torch.cuda.is_available(), reason="torch sees no GPU; run on a machine with one"
)
# a GPU adds in another order, and bfloat16 has 8 bits of significand
@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 0.01), ("bfloat16", 0.05)])
def test_a_gpu_gives_nearly_the_same_history(examples, precision, tolerance):
    histories = []
    for device, digits in (("cpu", "float32"), ("cuda", precision)):
        module = gru(dropout=0.0)  # a GPU draws other zeros
        config = replace(SHORT, n_epochs=3, device=device, precision=digits)
        history = fit(module, examples[:7], examples[7:], config, seed=0)
        histories.append(history["validation/loss"].tolist())
    assert histories[1] == pytest.approx(histories[0], rel=tolerance)


@pytest.mark.skipif(torch.cuda.is_available(), reason="asks for a GPU that is missing")
def test_a_gpu_that_is_not_there_is_refused(examples, refuses):
    with refuses("device is 'cuda', but torch sees no GPU; use 'auto' or 'cpu'"):
        fit(gru(), examples, [], TrainConfig(n_epochs=1, device="cuda"), seed=0)


def test_auto_is_the_gpu_where_there_is_one():
    assert resolve_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
