import type { AnnotationTool } from '../../nodes/annotator/annotation-tool.js'
import { type AnnotatorNode, createAnnotatorNode } from '../../nodes/annotator/annotator-node.js'
import { loadAnnotationTool } from '../../nodes/annotator/tool-file.js'
import { createSegmentationTool } from '../../nodes/annotator/tools/segmentation/segmentation-tool.js'
import { readIdentities } from '../../nodes/identity.js'
import type { CliContext } from '../context.js'
import { untilLoggedIn } from './loop-login.js'
import { takeNodeFolder } from './node-folder.js'
import { type NodeParts, nodeSockets } from './node-socket.js'

export type AnnotatorNodeSettings = {
  readonly folder: string
  readonly name: string
  readonly uuid?: string
  /** File of an own tool. */
  readonly tool?: string
  readonly threads?: number
}

/** Builds and starts an annotator node; throws LF_FOLDER_LOCKED when one of that name runs on its folder already. */
export async function startAnnotatorNode(
  settings: AnnotatorNodeSettings,
  context: CliContext,
  parts: NodeParts,
): Promise<{ readonly uuid: string; readonly node: AnnotatorNode; readonly loggedIn: Promise<void> }> {
  const { environment, log, signal } = context
  const { folder, name } = settings
  const tool = await openTool(settings, context)
  await takeNodeFolder(folder, { kind: 'annotator', name }, parts)
  const [identity = { uuid: '', name }] = await readIdentities({ folder, name, seats: 1, uuid: settings.uuid })
  const node = createAnnotatorNode(
    { identity, dialect: environment.LOOP_PROTOCOL, muted: environment.SKIP_REPEAT_ON_START },
    {
      tool,
      log,
      now: Date.now,
      images: parts.loop.images,
      createSocket: nodeSockets('annotation_node', context, parts),
    },
  )
  parts.closers.add('annotator node', () => node.stop())
  await node.start({ signal })
  const loggedIn = untilLoggedIn('annotator', { loop: parts.loop, node }, context)
  return { uuid: identity.uuid, node, loggedIn }
}

async function openTool({ tool, threads }: AnnotatorNodeSettings, { log }: CliContext): Promise<AnnotationTool> {
  return tool === undefined ? createSegmentationTool({ threads }, { log }) : await loadAnnotationTool(tool, { log })
}
