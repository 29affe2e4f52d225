"""A small annotator as an author writes it, with either release of the library: a dragged box becomes a rectangle.

Usage: python small_annotator.py [DATA_FOLDER]; the Loop is named by LOOP_HOST, the folder else by DATA_FOLDER.
"""

import sys
from pathlib import Path
from typing import Dict

import uvicorn
from learning_loop_node.annotation.annotator_logic import AnnotatorLogic
from learning_loop_node.annotation.annotator_node import AnnotatorNode
from learning_loop_node.data_classes import Point, SegmentationAnnotation, Shape, ToolOutput, UserInput
from learning_loop_node.globals import GLOBALS


class RectangleTool(AnnotatorLogic):
    async def handle_user_input(self, user_input: UserInput, history: Dict) -> ToolOutput:
        data = user_input.data
        context = data.context
        folder = Path(GLOBALS.data_folder) / context.organization / context.project / 'images'
        if (folder / f'{data.image_uuid}.jpg').read_bytes()[:2] != b'\xff\xd8':
            raise ValueError('the image is no JPEG')
        if data.event_type == 'left_mouse_down':
            history['start'] = data.coordinate
        a, b = history['start'], data.coordinate
        svg = f'<rect x="{a.x}" y="{a.y}" width="{b.x - a.x}" height="{b.y - a.y}" />'
        if data.event_type != 'left_mouse_up':
            return ToolOutput(svg=svg)
        corners = [a, Point(x=b.x, y=a.y), b, Point(x=a.x, y=b.y)]
        annotation = SegmentationAnnotation(
            id=f'by-{user_input.frontend_id}', shape=Shape(points=corners),
            image_id=data.image_uuid, category_id=data.category.id,
        )
        return ToolOutput(svg=svg, annotation=annotation)

    def create_empty_history(self) -> Dict:
        return {}

    def logout_user(self, sid: str) -> bool:
        return sid == 'anna'


if __name__ == '__main__':
    if len(sys.argv) > 1:
        GLOBALS.data_folder = sys.argv[1]
    node = AnnotatorNode(name='small annotator', annotator_logic=RectangleTool())
    uvicorn.run(node, uds=f'{GLOBALS.data_folder}/http.sock')  # a socket file takes nobody's port
