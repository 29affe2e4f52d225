"""A small converter as an author writes it with release 0.8.2 of the library: `mocked` becomes `small_export`.

Usage: python small_converter_0_8_2.py DATA_FOLDER; the Loop is named by LOOP_HOST.
"""

import sys
from pathlib import Path
from typing import List

import uvicorn
from learning_loop_node.converter.converter_logic import ConverterLogic
from learning_loop_node.converter.converter_node import ConverterNode
from learning_loop_node.data_classes import ModelInformation
from learning_loop_node.globals import GLOBALS


class SmallConverter(ConverterLogic):
    async def _convert(self, model_information: ModelInformation) -> None:
        folder = Path(self.model_folder)
        text = (folder / 'file_1.txt').read_text()
        (folder / 'exported.txt').write_text(text.upper())

    def get_converted_files(self, model_id: str) -> List[str]:
        return [str(Path(self.model_folder) / 'exported.txt')]


if __name__ == '__main__':
    GLOBALS.data_folder = sys.argv[1]
    converter = SmallConverter(source_format='mocked', target_format='small_export')
    node = ConverterNode(name='small converter', converter=converter)
    uvicorn.run(node, uds=f'{GLOBALS.data_folder}/http.sock')  # a socket file takes nobody's port
