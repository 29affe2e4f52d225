import type { Logger } from '../../base/logger/index.js'
import type { Stage } from '../../queue/index.js'
import type { Place } from './places.js'
import type { SlotDemand } from './slot-room.js'

/** Lends a training's place to another one when it waits for something outside for too long. */
export type PlaceLending = {
  /** A stage waits, because the Loop is unreachable or does not answer. */
  onWaiting(stage: Stage): void
  /** The stage makes progress again, or has ended. */
  onProgress(stage: Stage): void
  end(): void
}

/** Default time without progress, outside of `train`, after which a place is lent. */
export const LEND_AFTER_MS = 120_000

export function createPlaceLending(
  options: { readonly lendAfterMs: number },
  deps: { readonly place: Place; readonly demand?: Pick<SlotDemand, 'isLent'>; readonly log: Logger },
): PlaceLending {
  const { place, demand, log } = deps
  const waiting = new Set<Stage>()
  let timer: NodeJS.Timeout | undefined
  let isLent = false

  function tryToLend(): void {
    isLent = place.lend()
    if (demand !== undefined) demand.isLent = isLent
    if (isLent) log.info({ waiting: [...waiting] }, 'training waits; its place is lent to another')
    else timer = setTimeout(tryToLend, options.lendAfterMs).unref() // too many wait already
  }

  function stopWaiting(): void {
    clearTimeout(timer)
    timer = undefined
    if (!isLent) return
    isLent = false
    if (demand !== undefined) demand.isLent = false
    place.takeBack()
    log.info('training makes progress; it has its place back')
  }

  return {
    onWaiting(stage) {
      waiting.add(stage)
      if (!isLent) timer ??= setTimeout(tryToLend, options.lendAfterMs).unref()
    },
    onProgress(stage) {
      waiting.delete(stage)
      if (waiting.size === 0) stopWaiting()
    },
    end() {
      waiting.clear()
      clearTimeout(timer)
    },
  }
}
