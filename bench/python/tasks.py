"""The Python end of a measured child: does each task that comes in as a line of JSON and answers it with a line."""

import asyncio
import json
import os
import sys
import time

# The library logs to stdout, which belongs to the answers.
answers = os.fdopen(os.dup(1), 'w')
os.dup2(2, 1)


def do_tasks(set_up, work):
    """Awaits `set_up()` once, then `work(what set_up gave, task)` for each task; the seconds it took are the answer."""
    asyncio.run(_do_tasks(set_up, work))


async def _do_tasks(set_up, work):
    tool = await set_up()
    _answer('ready')
    loop = asyncio.get_running_loop()
    while True:
        line = await loop.run_in_executor(None, sys.stdin.readline)
        if not line:
            return
        start = time.perf_counter()
        result = await work(tool, json.loads(line))
        _answer(json.dumps({'seconds': time.perf_counter() - start, **(result or {})}))


def _answer(text):
    answers.write(text + '\n')
    answers.flush()
