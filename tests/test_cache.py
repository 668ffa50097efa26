"""The memory cache: hand-worked reference strings for each policy, and what always holds.

Reference string and frames: Silberschatz, Galvin, Gagne, "Operating System Concepts", page
replacement, whose counts of faults are 15 for FIFO and 12 for LRU.
"""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qoe_core.cache import POLICIES, Cache

STRING = (7, 0, 1, 2, 0, 3, 0, 4, 2, 3, 0, 3, 2, 1, 2, 0, 1, 7, 0, 1)
FRAMES = 3
USES = st.lists(st.tuples(st.booleans(), st.integers(0, 5), st.integers(0, 40)), max_size=60)


def faults(policy, string=STRING, frames=FRAMES):
    """One mark a reference: "m" for a miss, after which the page is put, and "h" for a hit."""
    cache = Cache(policy, frames)
    marks = ""
    for page in string:
        marks += "m" if cache.get(page) is None else "h"
        if marks[-1] == "m":
            cache.put(page, f"page {page}", 1)
    return marks, cache


# By hand; the queue is written from the hand on, * is a reference bit, misses say who is evicted.
#
# reference       7  0   1    2    0     3    0     4    2    3    0     3      2
# FIFO            7  70  701  012  012   123  230   304  042  423  ..
#   evicted                   7          0    1     2    3    0    4
# LRU             7  70  701  012  120   203  230   304  042  423  ..
#   evicted                   7          1          2    3    0    4
# second chance   7  70  701  012  0*12  203  20*3  034  402  023  0*23  0*23*  0*2*3*
#   evicted                   7          1          2    3    4
#   At 3 the hand passes 0*, clears it and evicts 1; at 4 it evicts 2 (queue 0*34, bit of 0 kept);
#   at 2 it passes 0* (340) and evicts 3; at 3 it evicts 4.
#
# reference       1    2     0    1     7    0     1
# FIFO  before: 230
#                 301  012   012  012   127  270   701
#   evicted       2    3                0    1     2
# LRU   before: 032
#                 321  312   120  201   017  170   701
#   evicted       0          3          2
# second chance   231  2*31  120  1*20  017  0*17  0*1*7
#   evicted       0          3          2
#   At 1 the hand passes 0*, 2* and 3*, clears all three and evicts 0.
WORKED = {
    "fifo": "mmmmhmmmmmmhhmmhhmmm",
    "lru": "mmmmhmhmmmmhhmhmhmhh",
    "second_chance": "mmmmhmhmmmhhhmhmhmhh",
    "none": "mmmmmmmmmmmmmmmmmmmm",
    "all": "mmmmhmhmhhhhhhhhhhhh",
}
N_FAULTS = {"fifo": 15, "lru": 12, "second_chance": 11, "none": 20, "all": 6}


@pytest.mark.parametrize("policy", POLICIES)
def test_hits_and_misses_are_those_of_the_table(policy):
    assert faults(policy)[0] == WORKED[policy]


@pytest.mark.parametrize("policy", POLICIES)
def test_the_number_of_faults_is_the_textbook_one(policy):
    assert faults(policy)[1].misses == N_FAULTS[policy]


@pytest.mark.parametrize("policy", ["fifo", "lru", "second_chance"])
def test_each_fault_on_full_frames_evicts_one(policy):
    assert faults(policy)[1].evictions == N_FAULTS[policy] - FRAMES


def test_the_bit_saves_a_value_for_one_round_only():
    cache = Cache("second_chance", 2)
    cache.put("a", 1, 1)
    cache.get("a")
    for key in "bcd":  # b goes for c, then a, whose bit the hand had cleared
        cache.put(key, 1, 1)
    assert [key for key in "abcd" if key in cache] == ["c", "d"]


def test_a_value_larger_than_the_budget_is_not_kept_and_evicts_nothing():
    cache = Cache("lru", 10)
    cache.put("small", 1, 10)
    assert not cache.put("large", 2, 11)
    assert ("small" in cache, "large" in cache) == (True, False)


def test_a_large_value_evicts_as_many_as_it_needs():
    cache = Cache("fifo", 10)
    for key in "abc":
        cache.put(key, key, 3)
    cache.put("d", "d", 5)
    assert (cache.evictions, cache.n_bytes, cache.get("c")) == (2, 8, "c")


def test_all_ignores_the_budget():
    cache = Cache("all", 1)
    assert all(cache.put(key, key, 100) for key in range(50))
    assert (cache.n_bytes, cache.evictions) == (5000, 0)


def test_asking_whether_a_key_is_there_is_no_use():
    cache = Cache("lru", 2)
    cache.put("old", 1, 1)
    cache.put("new", 1, 1)
    assert "old" in cache
    cache.put("newer", 1, 1)
    assert "old" not in cache
    assert (cache.hits, cache.misses) == (0, 0)


def test_a_cleared_cache_is_empty_and_goes_on_counting():
    cache = Cache("second_chance", 2)
    cache.put("a", 1, 1)
    cache.get("a")
    cache.clear()
    assert (cache.get("a"), cache.n_bytes, cache.hits, cache.misses) == (None, 0, 1, 1)


@given(st.sampled_from(POLICIES), st.integers(0, 100), USES)
def test_the_budget_holds_and_what_is_got_is_what_was_last_put(policy, budget, uses):
    cache, put, got = Cache(policy, budget), {}, []
    for number, (putting, key, n_bytes) in enumerate(uses):
        if putting:
            kept = cache.put(key, number, n_bytes)
            put[key] = (number, n_bytes)
            assert kept == (key in cache) == (cache.get(key) is not None)
        else:
            got.append(cache.get(key))
            assert got[-1] in (None, put.get(key, (None, 0))[0])
        held = sum(n_bytes for key, (_, n_bytes) in put.items() if key in cache)
        assert cache.n_bytes == held
        assert policy == "all" or held <= budget
    assert cache.hits + cache.misses == len(uses)


def test_threads_that_share_a_cache_leave_its_sums_right():
    cache = Cache("second_chance", 20)

    def use(seed):
        for step in range(3000):
            key = (seed * 7919 + step * 31) % 40
            if cache.get(key) is None:
                cache.put(key, key, 1 + key % 3)

    threads = [threading.Thread(target=use, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cache.hits + cache.misses == 4 * 3000
    assert cache.n_bytes == sum(1 + key % 3 for key in range(40) if key in cache) <= 20


def test_an_unknown_policy_is_refused(refuses):
    with refuses(
        "cache policy is 'clock', expected one of second_chance, lru, fifo, all, none",
    ):
        Cache("clock", 1)


def test_a_negative_budget_is_refused(refuses):
    with refuses("cache budget is -1 bytes, expected 0 or more"):
        Cache("lru", -1)
