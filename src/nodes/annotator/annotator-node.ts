import { z } from 'zod'
import { type Closers, every, type Service } from '../../base/index.js'
import type { Logger } from '../../base/logger/index.js'
import { type ImageExchange, unlessAborted } from '../../loop/client/index.js'
import type { LoopSocket } from '../../loop/client/socket/index.js'
import {
  type Dialect,
  describeError,
  nodeEventAckMs,
  parseMessage,
  segmentationAnnotationSchema,
  toAnnotatorStatus,
} from '../../loop/protocol/index.js'
import { createLoopNode, type LoopNode, LoopRefusedError, type NodeIdentity, type StatusCause } from '../index.js'
import { createAnnotationImages } from './annotation-images.js'
import { mergeMoves, parseUserInput, type ReceivedInput } from './annotation-input.js'
import type { AnnotationInput, AnnotationTool, ToolResult } from './annotation-tool.js'
import { AnnotationToolError, AnnotatorOfflineError, InputGivenUpError, ToolTimeoutError } from './errors.js'
import { createHistories } from './histories.js'
import { createUserTurns } from './user-turns.js'

export type AnnotatorNodeOptions = {
  readonly identity: NodeIdentity
  readonly dialect: Dialect
  readonly muted?: boolean
  readonly heartbeatMs?: number
  readonly statusAckMs?: number
  /** A user's history that was not used for so long is dropped; an hour by default. */
  readonly historyExpireMs?: number
  readonly maxUsers?: number
  /** How long the tool may take for one input. */
  readonly toolTimeoutMs?: number
  /** Inputs of one user that may wait. */
  readonly maxWaiting?: number
}

export type AnnotatorNodeDeps = {
  /** A fresh socket, not started. */
  readonly createSocket: () => LoopSocket
  readonly images: Pick<ImageExchange, 'fetchImages' | 'imagePath'>
  readonly tool: AnnotationTool
  readonly log: Logger
  readonly now: () => number
}

/** An annotator at the Loop: takes what users do in its image editor, answers drawings, and sends annotations. */
export type AnnotatorNode = Service &
  Pick<LoopNode, 'setOnline' | 'sendStatus' | 'whenConnected' | 'whyNotReady' | 'over'> & {
    /** Forgets all users. */
    reset(): Promise<void>
  }

const HEARTBEAT_MS = 5000
const HOUR_MS = 3_600_000

export function createAnnotatorNode(options: AnnotatorNodeOptions, deps: AnnotatorNodeDeps): AnnotatorNode {
  const { identity, dialect, heartbeatMs = HEARTBEAT_MS, statusAckMs = nodeEventAckMs.update_annotation_node } = options
  const { historyExpireMs = HOUR_MS, maxUsers = 1000 } = options
  const { toolTimeoutMs = 30_000, maxWaiting = 100 } = options
  const { tool } = deps
  const log = deps.log.child({ component: 'annotator', annotator: identity.name })
  const images = createAnnotationImages(deps)
  const histories = createHistories(
    { expireMs: historyExpireMs, maxUsers },
    { create: () => tool.createHistory(), now: deps.now },
  )
  const turns = createUserTurns({ merge: mergeMoves, maxWaiting }, answer)
  const node = createLoopNode(
    { ...options, reconnectsWhenRefused: dialect === 'current' },
    {
      open,
      events: {
        handle_user_input: (value) => take(value),
        user_logout: (frontendId) => logOut(parseMessage(z.string(), frontendId, 'user_logout')),
      },
      report,
    },
    { createSocket: deps.createSocket, log },
  )

  async function open(_signal: AbortSignal, closers: Closers): Promise<void> {
    closers.add('tool', () => tool.close?.())
    await tool.start?.()
    closers.add('users', () => turns.close())
    every(heartbeatMs, () => histories.sweep(), closers, 'histories')
  }

  /** The status is the same always; in dialect 0.8 it is sent once per connection. */
  async function report(causes: ReadonlySet<StatusCause>): Promise<boolean> {
    const isOnlyHeartbeat = causes.size === 1 && causes.has('heartbeat')
    if (!node.isConnected() || (dialect === '0.8' && isOnlyHeartbeat)) return false
    const status = toAnnotatorStatus({ id: identity.uuid, name: identity.name })
    return (await node.emitStatus('update_annotation_node', [status], statusAckMs)).success
  }

  async function take(value: unknown): Promise<string> {
    const input = parseUserInput(value)
    if (!node.isConnected()) throw new AnnotatorOfflineError()
    if (input.keyUp === 'Escape') {
      forget(input.frontendId)
      return ''
    }
    try {
      return await turns.take(input.frontendId, input)
    } catch (error) {
      if (error instanceof InputGivenUpError) return '' // the user does not want this drawing any more
      throw error
    }
  }

  async function answer(user: string, input: ReceivedInput, signal: AbortSignal): Promise<string> {
    const imagePath = await images.pathOf(input, { signal })
    signal.throwIfAborted()
    const history = histories.of(user)
    const { svg, annotation } = await runTool(tool, { ...input, imagePath }, history, {
      signal,
      timeoutMs: toolTimeoutMs,
    }).catch((error: unknown) => {
      images.forget(imagePath)
      // After an Escape the user may have a new history already.
      if (!signal.aborted) histories.delete(user)
      throw error
    })
    signal.throwIfAborted()
    if (annotation !== undefined) await send(input, annotation, signal)
    return svg
  }

  async function send({ organization, project }: ReceivedInput, annotation: object, signal: AbortSignal) {
    if (!node.isConnected()) throw new AnnotatorOfflineError()
    const event = 'update_segmentation_annotation'
    const ack = { timeoutMs: nodeEventAckMs[event], signal }
    const answered = await node.emit(event, [organization, project, annotation], ack)
    if (!answered.success) throw new LoopRefusedError(event, answered.error_msg)
  }

  function forget(user: string): boolean {
    turns.giveUp(user)
    return histories.delete(user)
  }

  function logOut(user: string): boolean {
    forget(user)
    log.info({ user }, 'user logged out')
    return tool.logout?.(user) ?? true
  }

  return {
    ...node,
    reset: async () => {
      for (const user of histories.users()) forget(user)
    },
  }
}

/** One call of a tool, which may be somebody's own: bounded in time, and its answer is checked. */
async function runTool(
  tool: AnnotationTool,
  input: AnnotationInput,
  history: unknown,
  { signal, timeoutMs }: { readonly signal: AbortSignal; readonly timeoutMs: number },
): Promise<ToolResult> {
  const late = new AbortController()
  const timer = setTimeout(() => late.abort(new ToolTimeoutError(timeoutMs)), timeoutMs)
  const either = AbortSignal.any([signal, late.signal])
  try {
    const work = Promise.resolve(tool.handleUserInput(input, history, { signal: either }))
    return parseToolResult(await unlessAborted(work, either))
  } finally {
    clearTimeout(timer)
  }
}

// What a Loop's page must draw over and over while somebody drags the mouse.
const MAX_SVG_CHARACTERS = 4_000_000

const toolResultSchema = z.object({
  svg: z.string().max(MAX_SVG_CHARACTERS),
  annotation: segmentationAnnotationSchema.nullish().transform((annotation) => annotation ?? undefined),
})

/** Checks what a tool has answered, which may be somebody's JavaScript; throws LF_ANNOTATION_TOOL. */
function parseToolResult(value: unknown): ToolResult {
  const parsed = toolResultSchema.safeParse(value)
  if (parsed.success) return parsed.data
  throw new AnnotationToolError(`The annotation tool answered no result: ${describeError(parsed.error, value)}`)
}
