import { backOffMs, messageOf } from '../../base/index.js'
import type { Logger } from '../../base/logger/index.js'
import { LoopRequestError } from '../../loop/client/index.js'
import type { Entry } from './entries.js'
import type { OutboxSettings } from './options.js'
import { type BatchDeps, sendBatch } from './send-batch.js'
import type { Shelf } from './shelf.js'
import { createSuspects, strikesReason } from './suspects.js'

/** Empties the shelf as long as it is switched on. */
export type Sender = {
  switchOn(): void
  /** Resolves when nothing is under way; what takes longer than the grace time is broken off. */
  switchOff(): Promise<void>
  /** Something was put on the shelf. */
  wake(): void
  /** Why nothing goes out just now; null while all is well. */
  problem(): string | null
}

export type SenderOptions = Pick<
  OutboxSettings,
  'maxBatch' | 'maxRequests' | 'retryFirstMs' | 'retryMaxMs' | 'stopGraceMs'
>
export type SenderDeps = { readonly shelf: Shelf; readonly batch: BatchDeps; readonly log: Logger }

/**
 * One request at a time as long as there is little to send; beside it, full ones up to the limit. After a failure
 * nothing is sent for a growing time, then one request, and smaller ones if that fails too.
 */
export function createSender(options: SenderOptions, { shelf, log, ...deps }: SenderDeps): Sender {
  const suspects = createSuspects()
  const batch: BatchDeps = {
    ...deps.batch,
    onTaken(entries) {
      suspects.onTaken()
      return deps.batch.onTaken(entries)
    },
  }
  const fullBatch = Math.min(options.maxBatch, batch.upload.maxImages)
  const underWay = new Set<Promise<void>>()
  let on: AbortController | undefined
  let waiting: NodeJS.Timeout | undefined
  let lanes = options.maxRequests
  let failures = 0
  let problem: string | null = null

  function pump(): void {
    while (on !== undefined && waiting === undefined) {
      const size = Math.max(1, fullBatch >> Math.max(0, failures - 1))
      if (underWay.size > 0 && (underWay.size >= lanes || shelf.free() < size)) return
      const entries = shelf.take(size)
      if (entries.length === 0) return
      const sending = send(entries, on.signal).finally(() => {
        underWay.delete(sending)
        pump()
      })
      underWay.add(sending)
    }
  }

  async function send(entries: readonly Entry[], signal: AbortSignal): Promise<void> {
    const failuresBefore = failures
    try {
      await sendBatch(entries, batch, signal)
      if (failures > 0) log.info('the Loop takes images again')
      failures = 0
      problem = null
      lanes = Math.min(options.maxRequests, lanes + 1)
    } catch (error) {
      // Requests that were under way together fail together, and that is one failure.
      if (on?.signal === signal && failures === failuresBefore) {
        waitAfter(error)
        await judge(entries, error)
      }
    } finally {
      shelf.release(entries)
    }
  }

  /** An image at which the Loop breaks down must not stay the first one indefinitely. */
  async function judge([entry, ...others]: readonly Entry[], error: unknown): Promise<void> {
    if (entry === undefined || others.length > 0) return
    const verdict = suspects.judge(entry, error)
    if (verdict === 'last') shelf.putLast(entry)
    if (verdict === 'aside') await batch.onUnfit(entry, strikesReason(error))
  }

  function waitAfter(error: unknown): void {
    failures += 1
    lanes = 1
    problem = messageOf(error)
    const asked = error instanceof LoopRequestError ? (error.details.retryAfterMs ?? 0) : 0
    const own = backOffMs(failures, { firstMs: options.retryFirstMs, maxMs: options.retryMaxMs })
    const waitMs = Math.max(own, Math.round(asked * (1 + 0.1 * Math.random())))
    const facts = { waitMs, failures, reason: problem }
    if (failures === 1) log.warn(facts, 'images cannot be sent')
    else log.debug(facts, 'images cannot be sent')
    clearTimeout(waiting)
    waiting = setTimeout(() => {
      waiting = undefined
      pump()
    }, waitMs)
  }

  return {
    switchOn() {
      on ??= new AbortController()
      pump()
    },
    async switchOff() {
      const controller = on
      on = undefined
      clearTimeout(waiting)
      waiting = undefined
      failures = 0
      const breakOff = setTimeout(() => controller?.abort(), options.stopGraceMs)
      await Promise.allSettled(underWay)
      clearTimeout(breakOff)
    },
    wake: pump,
    problem: () => problem,
  }
}
