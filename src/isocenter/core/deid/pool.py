"""Runs tasks in processes, and outlives those that a codec or a hostile file kills."""

from __future__ import annotations

import multiprocessing
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.context import BaseContext
from types import TracebackType
from typing import Any, NamedTuple, Self

_AHEAD = 3  # tasks that wait for each process: their arguments are in memory
_SHARES = 4  # tasks for each process at least, so that all end at about the same time
_FEWEST, _MOST = 8, 64  # items of a task
_PRELOADED = "isocenter.core.deid.preloading"


class Task(NamedTuple):
    """A call of a function of a module with what can be pickled.

    Attributes:
        function: called with ``first`` and a list of items; gives a list.
        first: the same for all items.
        items: what to do.
        lost: the result of one item whose process died.
    """

    function: Callable[[Any, Sequence[Any]], list[Any]]
    first: Any
    items: Sequence[Any]
    lost: Callable[[Any], Any]


class Pool:
    """Processes for tasks; with one process the work is done in this one.

    A task whose process dies is tried again item by item, each in a process of its own; an item
    that kills that as well becomes :attr:`Task.lost`.
    """

    def __init__(self, processes: int) -> None:
        self._processes = max(1, processes)
        self._executor: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close(wait_for_tasks=kind is None)

    def chunk(self, count: int) -> int:
        """How many of so many items make a task."""
        return max(_FEWEST, min(_MOST, count // (self._processes * _SHARES)))

    def run(self, tasks: Iterator[Task]) -> Iterator[tuple[Task, list[Any]]]:
        """Results as they come, in any order."""
        if self._processes == 1:
            for task in tasks:
                yield task, task.function(task.first, task.items)
            return
        pending: dict[Future[list[Any]], Task] = {}
        is_open = True
        while is_open or pending:
            while is_open and len(pending) < self._processes * _AHEAD:
                found = next(tasks, None)
                if found is None:
                    is_open = False
                else:
                    self._submit(found, pending)
            if not pending:
                break
            done, _ = wait(pending, return_when=FIRST_COMPLETED)
            broken = [pending.pop(future) for future in done if _is_broken(future)]
            for future in done:
                if future in pending:
                    yield pending.pop(future), future.result()
            if broken:
                broken += [pending.pop(future) for future in list(pending)]
                self._close(wait_for_tasks=False)
                for task in broken:
                    yield task, [self._alone(task, item) for item in task.items]

    def _submit(self, task: Task, pending: dict[Future[list[Any]], Task]) -> None:
        if self._executor is None:
            self._executor = _executor(self._processes)
        try:
            pending[_begun(self._executor, task, task.items)] = task
        except BrokenProcessPool:  # noticed before any result told of it
            self._close(wait_for_tasks=False)
            self._executor = _executor(self._processes)
            pending[_begun(self._executor, task, task.items)] = task

    def _alone(self, task: Task, item: Any) -> Any:
        with _executor(1) as executor:
            try:
                return _begun(executor, task, [item]).result()[0]
            except BrokenProcessPool:
                return task.lost(item)

    def _close(self, *, wait_for_tasks: bool) -> None:
        if self._executor is not None:
            self._executor.shutdown(wait=wait_for_tasks, cancel_futures=True)
            self._executor = None


def _begun(executor: ProcessPoolExecutor, task: Task, items: Sequence[Any]) -> Future[list[Any]]:
    """A task on its way. Processes are forked here; of threads only those of numpy's linear
    algebra can be left, which ends them before a fork, but Python warns of them since 3.12.
    """
    if threading.active_count() > 1:
        return executor.submit(task.function, task.first, items)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
        return executor.submit(task.function, task.first, items)


def _executor(processes: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(processes, mp_context=_context())


def _context() -> BaseContext:
    """How processes are started.

    A command is forked as it is, in no time: it has one thread, and what all need is loaded. A
    fork of a process with threads can hang, so a server's are forked from a server of their own.
    That imports what its children need, and the main module, which each would import otherwise.
    """
    if sys.platform == "linux" and threading.active_count() == 1:
        return multiprocessing.get_context("fork")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["__main__", _PRELOADED])
    return context


def _is_broken(future: Future[list[Any]]) -> bool:
    return future.cancelled() or isinstance(future.exception(), BrokenProcessPool)
