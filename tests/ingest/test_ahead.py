"""Items are processed in threads while the caller uses the last result."""

from __future__ import annotations

import threading
from contextlib import closing

import pytest

from ingest.ahead import map_ahead


@pytest.mark.parametrize("n_threads", [1, 2, 5])
@pytest.mark.parametrize("n_items", [0, 1, 2, 20])
def test_results_are_in_order(n_threads, n_items):
    assert list(map_ahead(lambda item: item * item, range(n_items), n_threads)) == [n * n for n in range(n_items)]


@pytest.mark.parametrize("n_threads", [1, 3])
def test_items_are_taken_only_when_a_thread_is_free(n_threads):
    taken = []
    results = map_ahead(str, (taken.append(n) or n for n in range(20)), n_threads)
    for n in range(20):
        assert next(results) == str(n)
        assert len(taken) == min(20, n + 1 + n_threads)


def test_the_next_item_is_processed_while_the_last_result_is_used():
    begun = [threading.Event() for _ in range(3)]
    for n in map_ahead(lambda n: begun[n].set() or n, range(3)):
        assert begun[min(n + 1, 2)].wait(10)


@pytest.mark.parametrize("broken", ["getting", "working"])
def test_errors_are_raised(broken):
    done = []

    def items():
        for n in range(9):
            if broken == "getting" and n == 4:
                raise OSError("item 4")
            yield n

    def work(n):
        if broken == "working" and n == 4:
            raise OSError("item 4")
        done.append(n)
        return n

    found = []
    with pytest.raises(OSError, match="item 4"):
        found.extend(map_ahead(work, items(), 2))
    assert found == list(range(len(found)))
    assert set(found) <= set(done)


def test_items_in_progress_are_finished_when_the_caller_stops():
    done = []
    with closing(map_ahead(done.append, range(9), 2)) as results:
        next(results)
    assert sorted(done) == [0, 1, 2]
