"""Published predictors ("peers") by name: one file each, run on the same sessions and folds as all.

To add one, say `my_peer` (letters a to z, digits and _, and no name that another row has):

1. Write `qoe_core/peers/my_peer.py`. Copy the shape of a neighbour, `echo_state.py` for instance:

       @dataclass(frozen=True, kw_only=True)
       class Peer:
           inputs: FeatureConfig
           scaling: Scaling | None = None  # None: fitted on the training sessions
           ...                             # its own options, each with a default
           stops_early = False             # True: `validation` is kept out of `train`
           seeded = True                   # True: another seed gives another model

           def fit(self, train, validation, seed, folder=None):
               ...                         # an object with `predict`

   `predict(session)` of that object gives a `models.interface.Prediction`: a score each second and
   one of the whole, on the scale of the ratings, None for what it does not predict. The score at
   second t may depend on seconds 0..t only. A `predict_all(sessions)` beside it is used where many
   sessions at once are faster. What is written out in full here is in
   `models/interface.py`; types are in the neighbours.
2. Write `my_peer` into `models:` of a file in params/, such as
   `params/03_results--simulated_small--leave-content-out.yaml`, and run `make results`.

Nothing else names it: the files of this folder are the list. `my_peer-qos` and `my_peer-video`
leave out the quality metrics or the QoS features. Options are given to
`models.table_rows.ModelConfig` as `peer`, which is a parameter of notebooks/02_train.ipynb.
"""

import dataclasses
import importlib
import re
from pathlib import Path

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_FIRST = ["inputs", "scaling"]  # fields of every Peer
_HAS = ("fit", "seeded", "stops_early")


def names(folder: Path) -> tuple[str, ...]:
    """Names of the peers whose files are in `folder`, sorted; those that begin with _ are none.

    Raises:
        ValueError: a file whose name no row of a table can have.
    """
    stems = sorted(
        path.stem for path in folder.glob("*.py") if not path.name.startswith((".", "_"))
    )
    wrong = [stem for stem in stems if not _NAME.fullmatch(stem)]
    if wrong:
        raise ValueError(
            f"{folder.name}/ holds files called {wrong}, expected small letters, digits and _, the "
            "first a letter: the name of the file is the name of the row"
        )
    return tuple(stems)


NAMES = names(Path(__file__).parent)


def path(name: str) -> Path:
    """The file of one peer."""
    return Path(__file__).parent / f"{name}.py"


def load(name: str) -> type:
    """The class `Peer` of one file of this folder.

    Raises:
        ValueError: no such file, or what it holds is no peer.
    """
    if name not in NAMES:
        raise ValueError(
            f"no peer is called {name!r}, expected one of {list(NAMES)}, the files in {__name__}"
        )
    peer = getattr(importlib.import_module(f"{__name__}.{name}"), "Peer", None)
    if peer is None:
        raise ValueError(f"peers/{name}.py has no class Peer, expected one; see peers/__init__.py")
    missing = [part for part in _HAS if not hasattr(peer, part)]
    is_dataclass = dataclasses.is_dataclass(peer)
    fields = [field.name for field in dataclasses.fields(peer)] if is_dataclass else []
    if missing or fields[:2] != _FIRST:
        raise ValueError(
            f"Peer of peers/{name}.py lacks {missing} and is a dataclass of the fields {fields}, "
            f"expected {list(_HAS)} and a dataclass whose first fields are {_FIRST}"
        )
    return peer
