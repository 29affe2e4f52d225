"""A trainer of the library whose progress changes now and then; each change is noted in changes.jsonl with its time.

GAPS: the seconds between the changes, separated by commas.
"""

import asyncio
import json
import os
import time
from pathlib import Path
from typing import Optional

from learning_loop_node.globals import GLOBALS
from noop_trainer import NoopTrainer, serve


class ProgressingTrainer(NoopTrainer):
    command = 'sleep 100000'

    def __init__(self) -> None:
        super().__init__()
        self.progress = 0.0
        self.task: Optional[asyncio.Task] = None

    @property
    def training_progress(self) -> Optional[float]:
        return self.progress

    async def _start_training_from_scratch(self) -> None:
        await super()._start_training_from_scratch()
        self.task = asyncio.create_task(self.make_progress())

    async def make_progress(self) -> None:
        gaps = [float(gap) for gap in os.environ['GAPS'].split(',')]
        with open(Path(GLOBALS.data_folder) / 'changes.jsonl', 'a', encoding='utf-8') as file:
            for index, gap in enumerate(gaps):
                await asyncio.sleep(gap)
                self.progress = (index + 1) / 1000
                file.write(json.dumps({'progress': self.progress, 'time': time.time() * 1000}) + '\n')
                file.flush()


if __name__ == '__main__':
    serve(ProgressingTrainer())
