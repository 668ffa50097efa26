"""Ways in which a released CSV or JSON file arrives damaged, drawn by Hypothesis."""

from collections.abc import Callable, Sequence

from hypothesis import strategies as st

NOT_A_MEASURE = ("", "abc", "nan", "inf", "-inf", "-1", "1e400", "0x10", "1_0", "[1]", "1 2")
WAYS = ("cut", "row gone", "row twice", "column gone", "column renamed", "column twice", "cell")


def damaged_csv(
    draw: Callable, content: bytes, numbers: Sequence[str], texts: Sequence[str] = ()
) -> bytes:
    """`content` damaged in one drawn way that no reader of these columns may accept."""
    way = draw(st.sampled_from(WAYS))
    if way == "cut":
        return content[: draw(st.integers(0, len(content) - 1))]
    table = [line.split(",") for line in content.decode().splitlines()]
    row = draw(st.integers(1, len(table) - 1))
    name = draw(st.sampled_from([*numbers, *texts]))
    column = table[0].index(name)
    if way == "row gone":
        del table[row]
    elif way == "row twice":
        table.insert(row, table[row])
    elif way == "column gone":
        table = [[*cells[:column], *cells[column + 1 :]] for cells in table]
    elif way == "column renamed":
        table[0][column] += " "
    elif way == "column twice":
        table = [[*cells, cells[column]] for cells in table]
    else:
        table[row][column] = draw(st.sampled_from(NOT_A_MEASURE)) if name in numbers else " "
    return "".join(",".join(cells) + "\n" for cells in table).encode()


def flipped_bytes(draw: Callable, content: bytes) -> bytes:
    """`content` with up to six bytes changed, which may leave a valid file."""
    changed = bytearray(content)
    for at in draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=6)):
        changed[at] ^= draw(st.integers(1, 255))
    return bytes(changed)
