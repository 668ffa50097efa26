"""Values kept in memory by key, within a number of bytes; a policy decides which goes first.

Sizes are what the caller says, in bytes. One lock makes every call safe between threads.
"""

from collections import OrderedDict
from collections.abc import Hashable
from threading import Lock

POLICIES = ("second_chance", "lru", "fifo", "all", "none")


class Cache:
    """At most `budget_bytes` of values, unless the policy is "all".

    Policies: "fifo" evicts the value put first, "lru" the least recently got or put; "none" keeps
    nothing; "all" keeps everything and ignores the budget. "second_chance" is the CLOCK algorithm
    (Corbato, "A paging experiment with the Multics system", 1969): the hand goes round a circular
    queue and evicts the first value whose reference bit is not set, clearing the bits it passes.
    `get` sets the bit; a new value starts without it (our choice), so what was never got again goes
    first.
    """

    def __init__(self, policy: str, budget_bytes: int):
        """Start empty.

        Raises:
            ValueError: an unknown policy, or a negative budget.
        """
        if policy not in POLICIES:
            raise ValueError(f"cache policy is {policy!r}, expected one of {', '.join(POLICIES)}")
        if budget_bytes < 0:
            raise ValueError(f"cache budget is {budget_bytes} bytes, expected 0 or more")
        self.hits = self.misses = self.evictions = self.n_bytes = 0
        self._policy = policy
        self._budget_bytes = budget_bytes
        self._held: OrderedDict[Hashable, tuple[object, int]] = (
            OrderedDict()
        )  # the hand is in front
        self._referenced: set[Hashable] = set()
        self._lock = Lock()

    def __contains__(self, key: Hashable) -> bool:
        """Whether `get` would find it; counts as no use."""
        return key in self._held

    def get(self, key: Hashable) -> object | None:
        """The value last put under `key`, or None where it is not kept."""
        with self._lock:
            if key not in self._held:
                self.misses += 1
                return None
            self.hits += 1
            if self._policy == "lru":
                self._held.move_to_end(key)
            elif self._policy == "second_chance":
                self._referenced.add(key)
            return self._held[key][0]

    def put(self, key: Hashable, value: object, n_bytes: int) -> bool:
        """Keep `value` in place of what was there, evicting others; False where it does not fit."""
        with self._lock:
            if key in self._held:
                self._remove(key)
            if self._policy == "none":
                return False
            if self._policy != "all":
                if n_bytes > self._budget_bytes:
                    return False
                while self.n_bytes + n_bytes > self._budget_bytes:
                    self._remove(self._victim())
                    self.evictions += 1
            self._held[key] = (value, n_bytes)
            self.n_bytes += n_bytes
            return True

    def clear(self) -> None:
        """Keep nothing; the counters of hits, misses and evictions go on."""
        with self._lock:
            self._held.clear()
            self._referenced.clear()
            self.n_bytes = 0

    def _victim(self) -> Hashable:
        """The value to go; moving one to the end is the hand passing it."""
        while (front := next(iter(self._held))) in self._referenced:
            self._referenced.remove(front)
            self._held.move_to_end(front)
        return front

    def _remove(self, key: Hashable) -> None:
        self.n_bytes -= self._held.pop(key)[1]
        self._referenced.discard(key)
