import { randomUUID } from 'node:crypto'
import { silentLogger } from '../../../src/base/logger/logger.js'
import { createImageExchange } from '../../../src/loop/client/images/image-exchange.js'
import { createLoopRest } from '../../../src/loop/client/session/rest.js'
import { createLoopSession } from '../../../src/loop/client/session/session.js'
import { createLoopSocket } from '../../../src/loop/client/socket/socket.js'
import type { Answer, Category } from '../../../src/loop/protocol/index.js'
import type { AnnotationTool } from '../../../src/nodes/annotator/annotation-tool.js'
import {
  type AnnotatorNode,
  type AnnotatorNodeOptions,
  createAnnotatorNode,
} from '../../../src/nodes/annotator/annotator-node.js'
import { startLoop, type TestLoop } from '../../mock/loop/start-loop.js'

export const PROJECT = { organization: 'zauberzeug', project: 'shapes' }

/** A local Loop with a project of shapes to outline. */
export type AnnotationLoop = {
  readonly loop: TestLoop
  readonly category: Category
  readonly images: readonly DrawnImage[]
  /** The polygons that annotation tools have made in an image. */
  annotations(imageId: string): Promise<readonly StoredAnnotation[]>
}
export type DrawnImage = { readonly id: string; readonly outline: readonly Point[] }
export type Point = { readonly x: number; readonly y: number }
export type StoredAnnotation = {
  readonly id: string
  readonly category_id: string
  readonly shape: { readonly points: readonly Point[] }
}

export async function startAnnotationLoop(): Promise<AnnotationLoop> {
  const loop = await startLoop()
  await loop.generate({ project_name: PROJECT.project, inbox: 4, segmentation_categories: 1 })
  const shown = async () => (await loop.call('GET', '/api/local/zauberzeug/shapes/images')).json.images
  const { json } = await loop.call('GET', '/api/local/projects')
  const project = json.projects.find((one: { project: string }) => one.project === PROJECT.project)
  const images = await shown()
  return {
    loop,
    category: project.categories[0],
    images: images.map(({ id, truth }: { id: string; truth: { segmentations: { points: Point[] }[] } }) => ({
      id,
      outline: truth.segmentations[0]?.points ?? [],
    })),
    annotations: async (imageId) =>
      (await shown()).find(({ id }: { id: string }) => id === imageId)?.segmentation_annotations ?? [],
  }
}

export type TestAnnotator = {
  readonly node: AnnotatorNode
  readonly uuid: string
  /** Sends what a user does and gives the node's answer. */
  input(data: InputData, user?: string): Promise<Answer>
  logOut(user?: string): Promise<Answer>
  stop(): Promise<void>
}
export type InputData = Readonly<Record<string, unknown>>

/** An annotator node in this process, connected to the Loop; `folder` is its data folder, `isDown` what its socket says. */
export async function startAnnotator(
  { loop }: Pick<AnnotationLoop, 'loop'>,
  tool: AnnotationTool,
  folder: string,
  options: Partial<AnnotatorNodeOptions> = {},
  isDown: () => boolean = () => false,
): Promise<TestAnnotator> {
  const log = silentLogger()
  const session = createLoopSession({ host: loop.host }, { log })
  const images = createImageExchange({ folder, retryFirstMs: 20 }, { rest: createLoopRest(session), session, log })
  const uuid = randomUUID()
  const node = createAnnotatorNode(
    { identity: { uuid, name: 'segmentation' }, dialect: 'current', ...options },
    {
      tool,
      images,
      log,
      now: Date.now,
      createSocket: () => {
        const socket = createLoopSocket({ nodeType: 'annotation_node', reconnectMaxMs: 100 }, { session, log })
        return Object.create(socket, { connected: { get: () => socket.connected && !isDown() } })
      },
    },
  )
  await node.start({ signal: new AbortController().signal })
  await loop.until(() => loop.node(uuid)?.connected, { signal: AbortSignal.timeout(20_000) })
  const tell = async (path: string, body: unknown) =>
    (await loop.call('POST', `/api/local/nodes/${uuid}/${path}`, body)).json.ack
  return {
    node,
    uuid,
    input: (data, user = 'anna') => tell('user-input', { frontend_id: user, data }),
    logOut: (user = 'anna') => tell('user-logout', { frontend_id: user }),
    stop: async () => {
      await node.stop()
      session.close()
    },
  }
}

/** What a user does in an image of the project. */
export function inputOf(
  { category, images }: AnnotationLoop,
  eventType: string,
  coordinate: Point,
  more: InputData = {},
): InputData {
  return { coordinate, event_type: eventType, context: PROJECT, image_uuid: images[0]?.id, category, ...more }
}

/** The corners of a box that somebody drags around an outline, some pixels off it. */
export function boxAround(outline: readonly Point[], off = 6): readonly [Point, Point] {
  const xs = outline.map(({ x }) => x)
  const ys = outline.map(({ y }) => y)
  return [
    { x: Math.max(0, Math.min(...xs) - off), y: Math.max(0, Math.min(...ys) - off) },
    { x: Math.max(...xs) + off, y: Math.max(...ys) + off },
  ]
}
