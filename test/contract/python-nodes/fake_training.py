"""Stands in for a training program: three epochs of two seconds, each better than the one before.

Writes epoch_N.weights, then epoch_N.json with the counts of one category, into the current folder.
"""

import json
import time
from pathlib import Path

EPOCHS = 3

for epoch in range(1, EPOCHS + 1):
    time.sleep(2)
    Path(f'epoch_{epoch}.weights').write_bytes(bytes([epoch]) * 64)
    counts = {'tp': epoch, 'fp': EPOCHS - epoch, 'fn': EPOCHS - epoch}
    unfinished = Path(f'epoch_{epoch}.json.part')
    unfinished.write_text(json.dumps(counts))
    unfinished.rename(f'epoch_{epoch}.json')
    print(f'epoch {epoch}/{EPOCHS}', flush=True)
