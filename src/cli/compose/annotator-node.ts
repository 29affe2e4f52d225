import { createLoopSocket } from '../../loop/client/socket.js'
import type { AnnotationTool } from '../../nodes/annotator/annotation-tool.js'
import { type AnnotatorNode, createAnnotatorNode } from '../../nodes/annotator/annotator-node.js'
import { loadAnnotationTool } from '../../nodes/annotator/tool-file.js'
import { createSegmentationTool } from '../../nodes/annotator/tools/segmentation/segmentation-tool.js'
import { readIdentities } from '../../nodes/identity.js'
import { lockFolder } from '../../process/folder-lock.js'
import type { Closers } from '../closers.js'
import type { CliContext } from '../context.js'
import type { LoopClient } from './loop-client.js'

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
  parts: { readonly closers: Closers; readonly loop: LoopClient; readonly onRestart: () => void },
): Promise<{ readonly uuid: string; readonly node: AnnotatorNode }> {
  const { environment, log, signal } = context
  const { folder, name } = settings
  const tool = await openTool(settings, context)
  const lock = await lockFolder(folder, `annotator-${name.replaceAll(/[^A-Za-z0-9-]/g, '-')}`)
  parts.closers.add('folder lock', () => lock.release())
  const [identity = { uuid: '', name }] = await readIdentities({ folder, name, seats: 1, uuid: settings.uuid })
  const node = createAnnotatorNode(
    { identity, dialect: environment.LOOP_PROTOCOL, muted: environment.SKIP_REPEAT_ON_START },
    {
      tool,
      log,
      now: Date.now,
      images: parts.loop.images,
      createSocket() {
        const { LOOP_ORGANIZATION: organization, LOOP_PROJECT: project } = environment
        const options = { nodeType: 'annotation_node' as const, organization, project }
        const socket = createLoopSocket(options, { session: parts.loop.session, log })
        socket.onRestart(parts.onRestart)
        return socket
      },
    },
  )
  parts.closers.add('annotator node', () => node.stop())
  await node.start({ signal })
  return { uuid: identity.uuid, node }
}

async function openTool({ tool, threads }: AnnotatorNodeSettings, { log }: CliContext): Promise<AnnotationTool> {
  return tool === undefined ? createSegmentationTool({ threads }, { log }) : await loadAnnotationTool(tool, { log })
}
