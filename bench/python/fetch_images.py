"""Fetches images by the library's own data exchanger; which images is given by their ids, all, some or none on disk."""

import os

from tasks import do_tasks

from learning_loop_node.data_classes import Context
from learning_loop_node.data_exchanger import DataExchanger
from learning_loop_node.loop_communication import LoopCommunicator


def id_of(index):
    return f'{index:08d}-5a9b-4df0-8785-507a677b7f05'


async def set_up():
    return DataExchanger(Context(organization='o', project='p'), LoopCommunicator())


async def work(exchanger, task):
    folder = os.path.join(task['folder'], 'o', 'p', 'images')
    await exchanger.download_images([id_of(index) for index in range(task['count'])], folder)
    return {'available': task['count']}


if __name__ == '__main__':
    do_tasks(set_up, work)
