import type { Closers } from '../base/closers.js'
import { messageOf } from '../base/errors.js'
import type { Logger } from '../base/logger.js'
import { createService, type Service } from '../base/service.js'
import type { TargetModel } from '../detector/parts.js'
import type { LoopRest } from '../loop/client/rest.js'
import type { LoopSocket } from '../loop/client/socket.js'
import type { DetectorCondition, Dialect } from '../loop/protocol/index.js'
import { createRestLink } from './detector/rest-link.js'
import { createSocketLink } from './detector/socket-link.js'
import type { NodeIdentity } from './identity.js'

export type DetectorNodeOptions = {
  readonly identity: NodeIdentity
  readonly organization: string
  readonly project: string
  readonly modelFormat: string
  /** NODE_VERSION: how the operator names this program's version; the current dialect reports it. */
  readonly nodeVersion?: string | undefined
  readonly dialect: Dialect
  /** Between the end of one cycle and the next; 5 s by default. */
  readonly cycleMs?: number
  /** Current dialect: every how-many-th cycle tells the status; 6 by default. */
  readonly syncCycles?: number
  /** Tells changes alone until it is set online (SKIP_REPEAT_ON_START). */
  readonly muted?: boolean
}

export type DetectorNodeDeps = {
  readonly detector: {
    condition(): DetectorCondition
    setTarget(target: TargetModel | null): void
    onChange(callback: () => void): () => void
  }
  readonly rest: Pick<LoopRest, 'postDetectorReport' | 'deploymentTarget'>
  /** A fresh socket, not started; dialect 0.8. */
  readonly createSocket: () => LoopSocket
  readonly log: Logger
}

/** The Loop's side of a detector: tells how it is, hears which model it is to run, and never dies of a silent Loop. */
export type DetectorNode = Service & {
  /** False keeps it away from the Loop until it is set true again. */
  setOnline(online: boolean): Promise<void>
  /** Resolves when the Loop asks the node to restart. */
  readonly over: Promise<string>
}

const CYCLE_MS = 5000
const SYNC_CYCLES = 6

export function createDetectorNode(options: DetectorNodeOptions, deps: DetectorNodeDeps): DetectorNode {
  const { cycleMs = CYCLE_MS, syncCycles = SYNC_CYCLES } = options
  const log = deps.log.child({ component: 'detector-node', detector: options.identity.name })
  let restart: (reason: string) => void = () => undefined
  const over = new Promise<string>((resolve) => {
    restart = resolve
  })
  const link =
    options.dialect === '0.8'
      ? createSocketLink(options, { ...deps, log, onRestart: () => restart('asked by the Loop') })
      : createRestLink({ ...options, syncCycles }, { ...deps, log })

  const service = createService(`detector node ${options.identity.name}`, open, { log })
  let isOnline = true
  let isMuted = options.muted === true
  let timer: NodeJS.Timeout | undefined
  let turn: Promise<void> | undefined
  let isAway = false
  let isChangeWaiting = false

  /** One cycle after the other; a change in between tells the status at once. */
  function schedule(): void {
    clearTimeout(timer)
    if (service.signal.aborted || !isOnline || isMuted) return
    timer = setTimeout(() => void run(() => link.cycle(service.signal)).then(schedule), cycleMs)
  }

  function run(work: () => Promise<void>): Promise<void> {
    const next = (turn ?? Promise.resolve()).then(async () => {
      if (service.signal.aborted || !isOnline) return
      try {
        await work()
        if (isAway) log.info('Loop reachable again')
        isAway = false
      } catch (error) {
        if (service.signal.aborted) return
        // Said once: a detector at the edge may be without a network for days.
        log[isAway ? 'debug' : 'warn']({ reason: messageOf(error) }, 'Loop unreachable')
        isAway = true
      }
    })
    turn = next
    return next
  }

  /** Several changes while a word with the Loop takes its time are told once. */
  function tellChange(): void {
    if (isChangeWaiting) return
    isChangeWaiting = true
    const tell = () => {
      isChangeWaiting = false
      return link.tellStatus(service.signal)
    }
    void run(tell).finally(() => {
      isChangeWaiting = false
    })
  }

  async function open(signal: AbortSignal, closers: Closers): Promise<void> {
    closers.add('cycle', () => turn)
    closers.add('link', () => link.close())
    closers.add('timer', () => clearTimeout(timer))
    closers.add('changes', deps.detector.onChange(tellChange))
    await begin(signal)
  }

  async function begin(signal: AbortSignal): Promise<void> {
    await link.open(signal)
    if (!isMuted) void run(() => link.cycle(signal)).then(schedule)
  }

  return {
    ...service,
    over,
    async setOnline(online) {
      if (online && isMuted) {
        isMuted = false
        if (isOnline) schedule()
      }
      if (online === isOnline || service.signal.aborted) return
      isOnline = online
      clearTimeout(timer)
      if (online) await begin(service.signal)
      else await link.close()
    },
  }
}
