export type { AnnotationInput, AnnotationTool, ImagePoint } from './annotation-tool.js'
export { type AnnotatorNode, createAnnotatorNode } from './annotator-node.js'
export { loadAnnotationTool } from './tool-file.js'
export { createSegmentationTool } from './tools/segmentation/segmentation-tool.js'
