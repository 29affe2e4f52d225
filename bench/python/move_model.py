"""Brings a model down into a folder, or its file up, by the library's own data exchanger."""

import json
import os

from tasks import do_tasks

from learning_loop_node.data_classes import Context
from learning_loop_node.data_exchanger import DataExchanger
from learning_loop_node.loop_communication import LoopCommunicator

CONTEXT = Context(organization='o', project='p')
MODEL_ID = '00000000-0000-4000-8000-000000000000'


async def set_up():
    return DataExchanger(CONTEXT, LoopCommunicator())


async def work(exchanger, task):
    if 'down' in task:
        os.makedirs(task['down'])
        await exchanger.download_model(task['down'], CONTEXT, MODEL_ID, 'mocked')
        return
    model_json = os.path.join(os.path.dirname(task['up']), 'model.json')
    with open(model_json, 'w', encoding='utf-8') as file:
        json.dump({'categories': []}, file)
    await exchanger.upload_model_get_uuid(CONTEXT, [task['up'], model_json], 1, 'mocked')


if __name__ == '__main__':
    do_tasks(set_up, work)
