import process from 'node:process'
import { type Closers, createService, every, messageOf, type Open, type Service } from '../base/index.js'
import type { Logger } from '../base/logger/index.js'
import { LoopSocketError, onAbort } from '../loop/client/index.js'
import type { EmitOptions, LoopSocket, LoopSocketHandler } from '../loop/client/socket/index.js'
import type { Answer } from '../loop/protocol/index.js'
import type { Fleet, FleetNode } from '../queue/index.js'
import { levelOf } from '../queue/redis-basics/index.js'
import type { NodeIdentity } from './identity.js'

export type LoopNodeOptions = {
  readonly identity: NodeIdentity
  /** Between two heartbeats; 5 s by default. */
  readonly heartbeatMs?: number
  /** Only changes are sent, and no heartbeats, until the node is set online (SKIP_REPEAT_ON_START). */
  readonly muted?: boolean
  /** Connects again, with a new login, when the Loop refuses a status or does not answer it. */
  readonly reconnectsWhenRefused?: boolean
  /** Machine and data folder: another owner of the same uuid is refused by the fleet, a restart of this one is not. */
  readonly owner?: string
}

export type LoopNodeDeps = {
  /** Creates a socket that is not started. A node without sockets reports by REST. */
  readonly createSocket?: () => LoopSocket
  /** The fleet in which the node is announced; a node without one needs no Redis. */
  readonly fleet?: Pick<Fleet, 'checkParts' | 'announceNode' | 'withdrawNode'>
  readonly log: Logger
}

/** Causes of a status: a change, a request or a new connection (`asked`), or the heartbeat. */
export type StatusCause = 'change' | 'asked' | 'heartbeat'

/** What a type of node adds to a LoopNode. */
export type NodeRole = {
  /** Opens what this type needs besides the connection: after the announcement, before it connects. */
  readonly open?: Open
  /** Answers events of the Loop. */
  readonly events?: Readonly<Record<string, LoopSocketHandler>>
  /** Sends the status if one of the causes needs it. Returns whether the Loop has accepted a status; throws if sending failed. */
  readonly report?: (causes: ReadonlySet<StatusCause>, signal: AbortSignal) => Promise<boolean>
  /** What the node announces to the fleet besides identity and process. */
  readonly announcement?: () => Pick<FleetNode, 'type' | 'trainer' | 'converter' | 'errors'>
}

/** A node at the Loop: its identity, its connection, its heartbeat and its place in the fleet. */
export type LoopNode = Service & {
  /** Aborts as soon as the node is asked to end. */
  readonly signal: AbortSignal
  isConnected(): boolean
  /** False disconnects the node until it is set true again; also before the start. */
  setOnline(online: boolean): Promise<void>
  /** Reports as soon as the current report is finished; causes until then share one report. */
  sendStatus(...causes: StatusCause[]): void
  /** Sends a status and waits for the answer; reconnects if the option `reconnectsWhenRefused` is set. Throws LF_LOOP_SOCKET. */
  emitStatus(event: string, args: readonly unknown[], timeoutMs: number): Promise<Answer>
  /** Sends another event. Throws LF_LOOP_SOCKET. */
  emit(event: string, args: readonly unknown[], options: EmitOptions): Promise<Answer>
  /** Resolves when the node is connected. Rejects when the signal is aborted; without a signal, when the node ends. */
  whenConnected(options?: { readonly signal?: AbortSignal }): Promise<void>
  /** Why the node cannot work now, or undefined. */
  whyNotReady(): string | undefined
  /** Resolves with the reason when the Loop asks the node to restart. */
  readonly over: Promise<string>
}

const HEARTBEAT_MS = 5000
const ANNOUNCE_MS = 5000

export function createLoopNode(options: LoopNodeOptions, role: NodeRole, deps: LoopNodeDeps): LoopNode {
  const { identity, heartbeatMs = HEARTBEAT_MS, reconnectsWhenRefused = false } = options
  const { createSocket, log } = deps
  const service = createService(`node ${identity.name}`, open, { log })
  const outage = createOutageLog(log, {
    failed: 'report to the Loop failed',
    recovered: 'report to the Loop accepted again',
  })
  const reporter = createReporter(role.report, { signal: service.signal, outage })
  const waiting = new Set<() => void>()
  let socket: LoopSocket | undefined
  let isOpen = false
  let isOnline = false
  let wantsOnline = true
  let isMuted = options.muted === true
  let switching: Promise<void> = Promise.resolve()
  let reconnectedAt = Number.NEGATIVE_INFINITY
  let requestRestart: (reason: string) => void = () => undefined
  const over = new Promise<string>((resolve) => {
    requestRestart = resolve
  })

  async function open(signal: AbortSignal, closers: Closers): Promise<void> {
    closers.add('log', () => log.info('node stopped'))
    await openAnnouncement(options, role, deps, closers)
    signal.throwIfAborted()
    closers.add('socket', async () => {
      await switching.catch(() => undefined) // the caller of setOnline has the error
      await socket?.stop()
    })
    closers.add('status', () => reporter.settled())
    await role.open?.(signal, closers)
    signal.throwIfAborted()
    every(heartbeatMs, beat, closers, 'heartbeat')
    isOpen = true
    await inTurn(switchOnline)
    log.info('node started')
  }

  async function beat(): Promise<void> {
    if (isMuted) return
    reporter.send('heartbeat')
    await reporter.settled()
  }

  function inTurn(work: () => Promise<void>): Promise<void> {
    switching = switching.catch(() => undefined).then(work)
    return switching
  }

  async function switchOnline(): Promise<void> {
    if (!isOpen || service.signal.aborted || wantsOnline === isOnline) return
    isOnline = wantsOnline
    if (!isOnline) return await socket?.stop()
    if (createSocket === undefined) return isMuted ? undefined : reporter.send('asked', 'heartbeat')
    socket = openSocket(createSocket)
    await socket.start({ signal: service.signal })
  }

  function openSocket(create: () => LoopSocket): LoopSocket {
    const fresh = create()
    for (const [event, handler] of Object.entries(role.events ?? {})) fresh.on(event, handler)
    fresh.onConnect(() => {
      reporter.send('asked')
      for (const connected of [...waiting]) connected()
    })
    fresh.onRestart(() => requestRestart('asked by the Loop'))
    return fresh
  }

  async function emitStatus(event: string, args: readonly unknown[], timeoutMs: number): Promise<Answer> {
    const used = socket
    try {
      const answer = await emit(event, args, { timeoutMs, signal: service.signal })
      if (!answer.success) {
        outage.failed(new Error(answer.error_msg ?? 'the Loop refused the status without a reason'))
        reconnect(used)
      }
      return answer
    } catch (error) {
      if (used?.connected === true) reconnect(used) // still connected, so the Loop has probably received the status but does not answer
      throw error
    }
  }

  // At most once per heartbeat: a Loop that refuses every status must not get a flood of logins.
  function reconnect(used: LoopSocket | undefined): void {
    if (!reconnectsWhenRefused || service.signal.aborted || performance.now() - reconnectedAt < heartbeatMs) return
    reconnectedAt = performance.now()
    used?.reconnect()
  }

  function emit(event: string, args: readonly unknown[], emitOptions: EmitOptions): Promise<Answer> {
    if (socket !== undefined) return socket.emit(event, ...args, emitOptions)
    return Promise.reject(new LoopSocketError(`"${event}" cannot be sent: the node is not connected to the Loop.`))
  }

  function isConnected(): boolean {
    return createSocket === undefined ? isOnline : socket?.connected === true
  }

  function whenConnected({ signal = service.signal }: { readonly signal?: AbortSignal } = {}): Promise<void> {
    if (isConnected()) return Promise.resolve()
    return new Promise((resolve, reject) => {
      const connected = () => {
        waiting.delete(connected)
        off()
        resolve()
      }
      waiting.add(connected)
      const off = onAbort([signal], (reason) => {
        waiting.delete(connected)
        reject(reason)
      })
    })
  }

  return {
    ...service,
    isConnected,
    over,
    sendStatus: (...causes) => reporter.send(...(causes.length === 0 ? (['asked'] as const) : causes)),
    emitStatus,
    emit,
    whenConnected,
    whyNotReady() {
      if (service.signal.aborted) return 'The node is stopping.'
      if (!isOpen) return 'The node is starting.'
      if (!isOnline) return 'The node is switched offline.'
      return isConnected() ? undefined : 'The node is not connected to the Loop.'
    },
    setOnline(online) {
      if (online) isMuted = false
      wantsOnline = online
      return inTurn(switchOnline)
    },
  }
}

/**
 * Announces the node and renews the announcement; throws LF_NAME_TAKEN if another machine or data folder has this id, and
 * LF_FLEET_TOO_OLD or LF_DATA_TOO_NEW if its build cannot share the fleet with the others.
 */
async function openAnnouncement(
  { identity: { uuid, name }, owner }: LoopNodeOptions,
  { announcement }: NodeRole,
  { fleet, log }: LoopNodeDeps,
  closers: Closers,
): Promise<void> {
  if (fleet === undefined || announcement === undefined) return
  const announce = () =>
    fleet.announceNode({ ...announcement(), uuid, name, pid: process.pid }, { ttlMs: 3 * ANNOUNCE_MS, owner })
  await fleet.checkParts(uuid)
  await announce()
  // Registered only after the announcement: an id that another node has must not be withdrawn.
  closers.add('announcement', () => fleet.withdrawNode(uuid))
  const outage = createOutageLog(log, { failed: 'heartbeat not written', recovered: 'heartbeat written again' })
  every(ANNOUNCE_MS, () => announce().then(outage.recovered, outage.failed), closers, 'announcement')
}

type Reporter = { send(...causes: readonly StatusCause[]): void; settled(): Promise<void> }

/** Sends one report at a time; causes that come during a report share the next one. */
function createReporter(
  report: NodeRole['report'],
  { signal, outage }: { readonly signal: AbortSignal; readonly outage: OutageLog },
): Reporter {
  const causes = new Set<StatusCause>()
  let isReporting = false
  let reporting: Promise<void> = Promise.resolve()

  async function reportWhileDue(reportDue: NonNullable<NodeRole['report']>): Promise<void> {
    while (causes.size > 0 && !signal.aborted) {
      const due = new Set(causes)
      causes.clear()
      try {
        if (await reportDue(due, signal)) outage.recovered()
      } catch (error) {
        if (!signal.aborted) outage.failed(error)
      }
    }
    isReporting = false // before the promise settles; later, a cause in between would start no report
  }

  return {
    send(...added) {
      if (report === undefined || signal.aborted) return
      for (const cause of added) causes.add(cause)
      if (isReporting) return
      isReporting = true
      reporting = reportWhileDue(report)
    },
    settled: () => reporting,
  }
}

type OutageLog = { failed(error: unknown): void; recovered(): void }

/** Logs the first failure and the recovery; failures in between are debug lines, since an outage may last for days. */
function createOutageLog(log: Logger, texts: { readonly failed: string; readonly recovered: string }): OutageLog {
  let isFailing = false
  return {
    failed(error) {
      log[isFailing ? 'debug' : levelOf(error)]({ reason: messageOf(error) }, texts.failed)
      isFailing = true
    },
    recovered() {
      if (isFailing) log.info(texts.recovered)
      isFailing = false
    },
  }
}
