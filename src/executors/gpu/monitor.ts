import { setTimeout as sleep } from 'node:timers/promises'
import type { GpuFigures, GpuProbe } from './probe.js'

/** Keeps the newest figures at hand, so that nobody who shows them has to wait for a driver. */
export type GpuMonitor = {
  /** At most a few looks old; null when the GPUs cannot be read, now or for a while. */
  latest(): GpuFigures[] | null
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** Reads the probe in the background, one look at a time, with `everyMs` between two of them. */
export function createGpuMonitor(probe: GpuProbe, options: { readonly everyMs?: number } = {}): GpuMonitor {
  const { everyMs = 2000 } = options
  const closed = new AbortController()
  const { signal } = closed
  let latest: GpuFigures[] | null = null

  async function look(): Promise<void> {
    while (!signal.aborted) {
      latest = await probe.read({ signal }).catch(() => null) // figures are for show: unreadable is none
      await sleep(everyMs, undefined, { signal, ref: false }).catch(() => undefined) // an abort ends the loop
    }
  }
  const looking = look()

  async function close(): Promise<void> {
    closed.abort()
    await looking
  }
  return { latest: () => latest, close, [Symbol.asyncDispose]: close }
}
