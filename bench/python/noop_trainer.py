"""The library's mock trainer without its sleeps: a program that ends immediately, two small formats, one box per image."""

import shutil
from pathlib import Path
from typing import Dict, List, Optional

import uvicorn
from learning_loop_node.data_classes import (
    BoxDetection,
    Detections,
    ModelInformation,
    PretrainedModel,
    TrainingStateData,
)
from learning_loop_node.globals import GLOBALS
from learning_loop_node.trainer.trainer_logic import TrainerLogic
from learning_loop_node.trainer.trainer_node import TrainerNode


class NoopTrainer(TrainerLogic):
    command = 'true'

    def __init__(self) -> None:
        super().__init__('mocked')
        self.has_published = False

    @property
    def training_progress(self) -> Optional[float]:
        return 1.0

    @property
    def model_architecture(self) -> Optional[str]:
        return 'mocked'

    @property
    def provided_pretrained_models(self) -> List[PretrainedModel]:
        return [PretrainedModel(name='small', label='Small', description='learns nothing, but immediately')]

    async def _start_training_from_base_model(self) -> None:
        await self._start_training_from_scratch()

    async def _start_training_from_scratch(self) -> None:
        self.has_published = False
        await self.executor.start(self.command)

    def _can_resume(self) -> bool:
        return False

    async def _resume(self) -> None:
        raise NotImplementedError

    def _get_new_best_training_state(self) -> Optional[TrainingStateData]:
        return None if self.has_published else TrainingStateData(confusion_matrix={}, epoch=1)

    def _on_metrics_published(self, training_state_data: TrainingStateData) -> None:
        self.has_published = True

    async def _get_latest_model_files(self) -> Dict[str, List[str]]:
        folder = Path(self.training.training_folder)
        (folder / 'weightfile.weights').write_bytes(b'\x42')
        (folder / 'some_more_data.txt').write_text('some more data')
        files = [str(folder / 'weightfile.weights'), str(folder / 'some_more_data.txt')]
        return {'mocked': files, 'mocked_2': files}

    async def _detect(
        self, model_information: ModelInformation, images: List[str], model_folder: str
    ) -> List[Detections]:
        category = model_information.categories[0]
        box = BoxDetection(
            category_name=category.name, category_id=category.id, model_name=model_information.version,
            x=1, y=2, width=30, height=40, confidence=0.99,
        )
        return [Detections(box_detections=[box], image_id=Path(image).stem) for image in images]

    async def _clear_training_data(self, training_folder: str) -> None:
        shutil.rmtree(training_folder)


def serve(trainer: NoopTrainer) -> None:
    node = TrainerNode(name='bench', trainer_logic=trainer)
    uvicorn.run(node, uds=f'{GLOBALS.data_folder}/http.sock')  # a socket file takes nobody's port


if __name__ == '__main__':
    serve(NoopTrainer())
