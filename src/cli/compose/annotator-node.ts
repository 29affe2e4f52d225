import {
  type AnnotationTool,
  type AnnotatorNode,
  createAnnotatorNode,
  createSegmentationTool,
  loadAnnotationTool,
} from '../../nodes/annotator/index.js'
import type { NodeMaterial } from '../node-command.js'

export type AnnotatorSettings = {
  /** File of an own tool. */
  readonly tool?: string
  /** Of the demo segmentation tool. */
  readonly threads?: number
}

/** Builds an annotator node with its tool. */
export async function createAnnotator(material: NodeMaterial, settings: AnnotatorSettings): Promise<AnnotatorNode> {
  const { identity, environment, loop, createSocket, log } = material
  const tool = await openTool(settings, material)
  return createAnnotatorNode(
    { identity, dialect: environment.LOOP_PROTOCOL, muted: environment.SKIP_REPEAT_ON_START },
    { tool, log, now: Date.now, images: loop.images, createSocket },
  )
}

async function openTool({ tool, threads }: AnnotatorSettings, { log }: NodeMaterial): Promise<AnnotationTool> {
  return tool === undefined ? createSegmentationTool({ threads }, { log }) : await loadAnnotationTool(tool, { log })
}
