"""The compiled loops of attention over positions: heads one after the other, in single precision.

Tables are multiplied by BLAS; in between, one step is done for all queries before the next, since
the maximum or the sum of a row would be waited for otherwise.
"""

import numpy as np

from qoe_core.kernels import LEAST, ONE, F, compiled, exp, inlined

NEGLIGIBLE = F(-80)  # a score so far below the highest has no weight; its share would lose digits


@inlined
def _ends(bias):
    """One behind the last key that each query may look at, or some more to make whole eights."""
    found = np.empty(bias.shape[:2], np.int64)
    for n, query in np.ndindex(found.shape):
        end = bias.shape[2]
        while end > 1 and bias[n, query, end - 1] == -np.inf:
            end -= 1
        found[n, query] = min(end + -end % 8, bias.shape[2])
    return found


@compiled
def attend(queries, keys, values, bias, mixed, weights):
    """Mixed values and weights of heads [head size position]; heads take the biases in turn."""
    reach, eight = _ends(bias), np.empty(8, F)
    most, total = np.empty(queries.shape[2], F), np.empty(queries.shape[2], F)
    for n in range(len(queries)):
        of_head, table = n % len(bias), weights[n]
        np.dot(queries[n].T, keys[n], table)
        for query in range(len(table)):
            end = reach[of_head, query]
            row, added = table[query, :end], bias[of_head, query, :end]
            for key in range(end):
                # not their sum where a key is forbidden, since its score may be no number
                row[key] = added[key] if added[key] == -np.inf else row[key] + added[key]
            most[query] = _highest(row, eight)
        for query in range(len(table)):
            row, highest, added = table[query, : reach[of_head, query]], most[query], F(0)
            for key in range(len(row)):
                below = row[key] - highest
                row[key] = F(0) if below < NEGLIGIBLE else exp(below)
                added += row[key]
            total[query] = added
        for query in range(len(table)):
            row, end, share = table[query], reach[of_head, query], ONE / total[query]
            for key in range(end):
                row[key] *= share
            for key in range(end, len(row)):
                row[key] = F(0)
        if np.isfinite(values[n].sum()):
            np.dot(values[n], table.T, mixed[n])
        else:
            _mix(values[n], table, reach[of_head], mixed[n])


@inlined
def _mix(values, table, ends, mixed):
    """Mixed values, where those that a query may not look at may be no numbers."""
    for c, query in np.ndindex(mixed.shape):
        mixed[c, query] = F(0)
        for key in range(ends[query]):
            if table[query, key] != F(0):
                mixed[c, query] += table[query, key] * values[c, key]


@inlined
def _highest(row, eight):
    """Of eight numbers at a time, which a compiler does not do for itself, for the sake of NaN."""
    for i in range(8):
        eight[i] = LEAST
    whole = len(row) - len(row) % 8
    for start in range(0, whole, 8):
        for i in range(8):
            eight[i] = row[start + i] if row[start + i] > eight[i] else eight[i]
    most = LEAST
    for i in range(8):
        most = eight[i] if eight[i] > most else most
    for i in range(whole, len(row)):
        most = row[i] if row[i] > most else most
    return most


@compiled
def attend_back(d_queries, d_keys, d_values, d_mixed, queries, keys, values, bias, weights):
    """Gradients of queries, keys and values."""
    reach, d_scores = _ends(bias), np.empty(weights.shape[1:], F)
    mean = np.empty(len(d_scores), F)
    for n in range(len(queries)):
        ends, table = reach[n % len(bias)], weights[n]
        np.dot(d_mixed[n].T, values[n], d_scores)
        for query in range(len(table)):
            row, d, total = table[query, : ends[query]], d_scores[query], F(0)
            for key in range(len(row)):
                total += d[key] * row[key]
            mean[query] = total
        for query in range(len(table)):
            row, d, middle = table[query, : ends[query]], d_scores[query], mean[query]
            for key in range(len(row)):
                d[key] = (d[key] - middle) * row[key]
            for key in range(len(row), len(d)):
                d[key] = F(0)
        np.dot(d_mixed[n], table, d_values[n])
        np.dot(queries[n], d_scores, d_keys[n])
        np.dot(keys[n], d_scores.T, d_queries[n])
