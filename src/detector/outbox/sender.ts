import { backOffMs, messageOf } from '../../base/index.js'
import type { Logger } from '../../base/logger/index.js'
import { LoopRequestError } from '../../loop/client/index.js'
import type { Entry } from './entries.js'
import type { OutboxSettings } from './options.js'
import { type BatchDeps, sendBatch } from './send-batch.js'
import { createSuspectedImages, setAsideReason } from './suspected-images.js'
import type { WaitingImages } from './waiting-images.js'

/** Sends the waiting images while it is switched on. */
export type Sender = {
  switchOn(): void
  /** Resolves when no request is active; requests that take longer than the grace time are aborted. */
  switchOff(): Promise<void>
  /** An image was added to those that wait. */
  wake(): void
  /** Why no image can be sent now; null if images can be sent. */
  problem(): string | null
}

export type SenderOptions = Pick<
  OutboxSettings,
  'maxBatch' | 'maxRequests' | 'retryFirstMs' | 'retryMaxMs' | 'stopGraceMs'
>
export type SenderDeps = { readonly waiting: WaitingImages; readonly batch: BatchDeps; readonly log: Logger }

/**
 * One request at a time; further ones, up to the limit, only if they are full. After a failure there is a pause that grows,
 * then one request, with fewer images each time that it fails.
 */
export function createSender(options: SenderOptions, { waiting, log, ...deps }: SenderDeps): Sender {
  const suspected = createSuspectedImages()
  const batch: BatchDeps = {
    ...deps.batch,
    onAccepted(entries) {
      suspected.onAccepted()
      return deps.batch.onAccepted(entries)
    },
  }
  const fullBatch = Math.min(options.maxBatch, batch.upload.maxImages)
  const underWay = new Set<Promise<void>>()
  let on: AbortController | undefined
  let retryTimer: NodeJS.Timeout | undefined
  let lanes = options.maxRequests
  let failures = 0
  let problem: string | null = null

  function pump(): void {
    while (on !== undefined && retryTimer === undefined) {
      const size = Math.max(1, fullBatch >> Math.max(0, failures - 1))
      if (underWay.size > 0 && (underWay.size >= lanes || waiting.sendable() < size)) return
      const entries = waiting.next(size)
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
      if (failures > 0) log.info('the Loop accepts images again')
      failures = 0
      problem = null
      lanes = Math.min(options.maxRequests, lanes + 1)
    } catch (error) {
      // Requests that were active together fail together, which counts as one failure.
      if (on?.signal === signal && failures === failuresBefore) {
        waitAfter(error)
        await judge(entries, error)
      }
    } finally {
      waiting.release(entries)
    }
  }

  /** An image that makes the Loop fail must not stay the first one. */
  async function judge([entry, ...others]: readonly Entry[], error: unknown): Promise<void> {
    if (entry === undefined || others.length > 0) return
    const verdict = suspected.judge(entry, error)
    if (verdict === 'put-last') waiting.putLast(entry)
    if (verdict === 'set-aside') await batch.onUnfit(entry, setAsideReason(error))
  }

  function waitAfter(error: unknown): void {
    failures += 1
    lanes = 1
    problem = messageOf(error)
    const asked = error instanceof LoopRequestError ? (error.details.retryAfterMs ?? 0) : 0
    const backOff = backOffMs(failures, { firstMs: options.retryFirstMs, maxMs: options.retryMaxMs })
    const waitMs = Math.max(backOff, Math.round(asked * (1 + 0.1 * Math.random())))
    const facts = { waitMs, failures, reason: problem }
    if (failures === 1) log.warn(facts, 'images cannot be sent')
    else log.debug(facts, 'images cannot be sent')
    clearTimeout(retryTimer)
    retryTimer = setTimeout(() => {
      retryTimer = undefined
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
      clearTimeout(retryTimer)
      retryTimer = undefined
      failures = 0
      const breakOff = setTimeout(() => controller?.abort(), options.stopGraceMs)
      await Promise.allSettled(underWay)
      clearTimeout(breakOff)
    },
    wake: pump,
    problem: () => problem,
  }
}
