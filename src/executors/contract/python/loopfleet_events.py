"""Tell loopfleet how a training goes: one JSON line per event, appended to the file named by LOOPFLEET_EVENTS.

Copy this file beside your training program, or import it as it is: loopfleet puts its folder on PYTHONPATH.
Needs Python 3.8 or newer and nothing else. Started by hand (LOOPFLEET_EVENTS unset), every call does nothing.

    import loopfleet_events as events

    training = events.load_training()
    for epoch in range(1, epochs + 1):
        ...
        events.progress(epoch / epochs, epoch=epoch, epochs=epochs)
        events.metrics(epoch, loss=0.12)
        events.model(epoch, files={'my_format': ['weights/model.bin']},
                     confusion_matrix={category_id: {'tp': 8, 'fp': 1, 'fn': 2}})
"""

import json
import math
import os


def progress(fraction, epoch=None, epochs=None, message=None):
    """Report how much of the training is done, 0 to 1; may be None when only the epoch is known."""
    _append({'event': 'progress', 'progress': fraction, 'epoch': epoch, 'epochs': epochs, 'message': message})


def metrics(epoch, **values):
    """Report any numbers of an epoch, for curves: metrics(3, loss=0.2, precision=0.8)."""
    _append({'event': 'metrics', 'epoch': epoch, 'values': values})


def model(epoch, files, confusion_matrix=None, **values):
    """Report a new best model.

    files: format -> list of paths relative to the workspace; they must be complete before the call and may be
    overwritten only by a later model. confusion_matrix: category id -> {'tp': int, 'fp': int, 'fn': int}; leave it
    out when nothing was measured. epoch may be None.
    """
    _append({'event': 'model', 'epoch': epoch, 'files': files, 'confusion_matrix': confusion_matrix, 'values': values})


def error(message):
    """Report why the training cannot go on; it is shown to people, so one clear sentence is best."""
    _append({'event': 'error', 'message': str(message)})


def load_training(folder='.'):
    """Return training.json of the workspace: order, categories, hyperparameters, dataset, base model."""
    with open(os.path.join(folder, 'training.json'), encoding='utf-8') as file:
        return json.load(file)


def _append(event):
    path = os.environ.get('LOOPFLEET_EVENTS')
    if not path:
        return
    line = json.dumps(_plain(event), ensure_ascii=True, allow_nan=False, separators=(',', ':')) + '\n'
    # One write on an appending file: lines of several processes never mix. Nothing is buffered, so nothing to flush.
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(file, line.encode('ascii'))
    finally:
        os.close(file)


def _plain(value):
    """Drop what is None, turn NaN and infinity into null and numpy-like numbers into plain ones."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if not isinstance(value, float) and hasattr(value, 'item'):
        return _plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return os.fspath(value)  # a pathlib.Path; anything else is a mistake and says so
