"""A small trainer as an author writes it with release 0.8.2 of the library.

Usage: python small_trainer_0_8_2.py DATA_FOLDER; the Loop is named by LOOP_HOST.
"""

import json
import shutil
import sys
from pathlib import Path
from typing import Dict, List, Optional

import uvicorn
from learning_loop_node.data_classes import (
    BasicModel,
    BoxDetection,
    Detections,
    ModelInformation,
    PointDetection,
    PretrainedModel,
)
from learning_loop_node.globals import GLOBALS
from learning_loop_node.trainer.trainer_logic import TrainerLogic
from learning_loop_node.trainer.trainer_node import TrainerNode
from PIL import Image

PROGRAM = Path(__file__).with_name('fake_training.py')


class SmallTrainer(TrainerLogic):
    def __init__(self) -> None:
        super().__init__('small')
        self.published_epoch = 0

    @property
    def folder(self) -> Path:
        return Path(self.training.training_folder)

    @property
    def progress(self) -> Optional[float]:
        return self.published_epoch / 3

    @property
    def model_architecture(self) -> Optional[str]:
        return 'small net'

    @property
    def provided_pretrained_models(self) -> List[PretrainedModel]:
        return [PretrainedModel(name='tiny', label='Tiny', description='learns nothing, but quickly')]

    async def start_training(self) -> None:
        if not (self.folder / 'base_model.json').exists():
            raise FileNotFoundError('the base model is missing')
        self.executor.start(f'{sys.executable} {PROGRAM}')

    async def start_training_from_scratch(self, base_model_id: str) -> None:
        if base_model_id != 'tiny':
            raise ValueError(f'there is no pretrained model {base_model_id}')
        self.published_epoch = 0
        self.executor.start(f'{sys.executable} {PROGRAM}')

    def can_resume(self) -> bool:
        return False

    async def resume(self) -> None:
        raise NotImplementedError

    def get_executor_error_from_log(self) -> Optional[str]:
        return next((line for line in self.executor.get_log_by_lines() if 'Error' in line), None)

    def get_new_model(self) -> Optional[BasicModel]:
        done = sorted(int(path.stem.split('_')[1]) for path in self.folder.glob('epoch_*.json'))
        if not done or done[-1] <= self.published_epoch:
            return None
        counts = json.loads((self.folder / f'epoch_{done[-1]}.json').read_text())
        assert self.training.data is not None
        matrix = {category.id: counts for category in self.training.data.categories}
        return BasicModel(confusion_matrix=matrix, meta_information={'epoch': done[-1]})

    def on_model_published(self, basic_model: BasicModel) -> None:
        self.published_epoch = basic_model.meta_information['epoch']
        shutil.copy(self.folder / f'epoch_{self.published_epoch}.weights', self.folder / 'model.weights')

    def get_latest_model_files(self) -> Dict[str, List[str]]:
        weights = str(self.folder / 'model.weights')
        notes = self.folder / 'notes.txt'
        notes.write_text(f'epoch {self.published_epoch}')
        return {'small': [weights, str(notes)], 'small_export': [weights]}

    async def _detect(
        self, model_information: ModelInformation, images: List[str], model_folder: str
    ) -> List[Detections]:
        assert (Path(model_folder) / 'model.weights').read_bytes() == bytes([3]) * 64
        return [self.detections_of(model_information, Path(image)) for image in images]

    def detections_of(self, model: ModelInformation, path: Path) -> Detections:
        width, height = Image.open(path).size
        found = Detections(image_id=path.stem)
        for category in model.categories:
            shared = {'category_name': category.name, 'category_id': category.id, 'model_name': model.version}
            if category.type == 'box':
                box = BoxDetection(x=1, y=2, width=width - 1, height=height - 2, confidence=0.9, **shared)
                found.box_detections.append(box)
            if category.type == 'point':
                found.point_detections.append(PointDetection(x=10, y=20, confidence=0.8, **shared))
        return found

    async def clear_training_data(self, training_folder: str) -> None:
        shutil.rmtree(training_folder)


if __name__ == '__main__':
    GLOBALS.data_folder = sys.argv[1]
    node = TrainerNode(name='small trainer', trainer_logic=SmallTrainer())
    uvicorn.run(node, uds=f'{GLOBALS.data_folder}/http.sock')  # a socket file takes nobody's port
