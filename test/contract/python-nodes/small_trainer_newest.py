"""A small trainer as an author writes it with the newest release of the library.

Usage: python small_trainer_newest.py; the Loop is named by LOOP_HOST, the folder by DATA_FOLDER.
"""

import json
import shutil
import sys
from pathlib import Path
from typing import Dict, List, Optional

import uvicorn
from learning_loop_node.data_classes import (
    BoxDetection,
    Detections,
    ModelInformation,
    PointDetection,
    PretrainedModel,
    TrainingStateData,
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
    def training_progress(self) -> Optional[float]:
        return self.published_epoch / 3

    @property
    def model_architecture(self) -> Optional[str]:
        return 'small net'

    @property
    def provided_pretrained_models(self) -> List[PretrainedModel]:
        return [PretrainedModel(name='tiny', label='Tiny', description='learns nothing, but quickly')]

    async def _start_training_from_base_model(self) -> None:
        if not (self.folder / 'base_model.json').exists():
            raise FileNotFoundError('the base model is missing')
        await self.start_program()

    async def _start_training_from_scratch(self) -> None:
        if self.training.model_variant != 'tiny':
            raise ValueError(f'there is no model variant {self.training.model_variant}')
        await self.start_program()

    async def start_program(self) -> None:
        self.published_epoch = 0
        await self.executor.start(f'{sys.executable} {PROGRAM}')

    def _can_resume(self) -> bool:
        return False

    async def _resume(self) -> None:
        raise NotImplementedError

    def _get_new_best_training_state(self) -> Optional[TrainingStateData]:
        done = sorted(int(path.stem.split('_')[1]) for path in self.folder.glob('epoch_*.json'))
        if not done or done[-1] <= self.published_epoch:
            return None
        counts = json.loads((self.folder / f'epoch_{done[-1]}.json').read_text())
        matrix = {category.id: counts for category in self.training.categories}
        return TrainingStateData(confusion_matrix=matrix, epoch=done[-1])

    def _on_metrics_published(self, training_state_data: TrainingStateData) -> None:
        assert training_state_data.epoch is not None
        self.published_epoch = training_state_data.epoch
        shutil.copy(self.folder / f'epoch_{self.published_epoch}.weights', self.folder / 'model.weights')

    async def _get_latest_model_files(self) -> Dict[str, List[str]]:
        weights = str(self.folder / 'model.weights')
        notes = self.folder / 'notes.txt'
        notes.write_text(f'epoch {self.published_epoch}')
        return {'small': [weights, str(notes)], 'small_export': [weights]}

    def _get_model_metadata(self) -> dict:
        return {'conf_threshold': 0.25}

    async def _detect(
        self, model_information: ModelInformation, images: List[str], model_folder: str
    ) -> List[Detections]:
        assert model_information.conf_threshold == 0.25
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
                found.point_detections.append(PointDetection(x=10.5, y=20.5, confidence=0.8, **shared))
        return found

    async def _clear_training_data(self, training_folder: str) -> None:
        shutil.rmtree(training_folder)


if __name__ == '__main__':
    node = TrainerNode(name='small trainer', trainer_logic=SmallTrainer())
    uvicorn.run(node, uds=f'{GLOBALS.data_folder}/http.sock')  # a socket file takes nobody's port
