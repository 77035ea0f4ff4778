"""Tasks shared among threads."""

import pytest

from ocsdf.utils import threads


@pytest.mark.parametrize("n_threads", [1, 2, 5])
@pytest.mark.parametrize("n_tasks", [0, 1, 7])
def test_results_come_in_order(n_threads, n_tasks, monkeypatch):
    monkeypatch.setattr(threads, "_n_allowed", lambda: n_threads)
    with threads.crew(n_threads) as run:
        for _ in range(3):
            assert run(lambda x: 2 * x, range(n_tasks)) == list(range(0, 2 * n_tasks, 2))


@pytest.mark.parametrize("n_threads", [1, 3])
def test_after_a_failure_no_task_begins(n_threads, monkeypatch):
    monkeypatch.setattr(threads, "_n_allowed", lambda: n_threads)
    begun = []

    def fail(number):
        begun.append(number)
        raise ZeroDivisionError("this one")

    with pytest.raises(ZeroDivisionError, match="this one"), threads.crew(n_threads) as run:
        run(fail, range(100))
    assert len(begun) <= n_threads
