import pLimit from 'p-limit'

export type AdaptiveLimitOptions = {
  readonly start?: number
  readonly min?: number
  readonly max?: number
}

/** How many requests may run side by side: grows by one per round that goes well, shrinks when the other side suffers. */
export type AdaptiveLimit = {
  readonly limit: number
  /** Does the work when there is room, first come, first served. */
  run<T>(work: () => Promise<T>): Promise<T>
  /** A request went well and took this long. */
  succeeded(latencyMs: number): void
  /** The other side asked for less (429) or broke down. */
  refused(): void
}

// Latency that rises less than this is noise, not a queue at the other side.
const SLACK_MS = 30
const RISE = 2

/** Additive increase, multiplicative decrease, as TCP does; at most one decrease per round of requests. */
export function createAdaptiveLimit(options: AdaptiveLimitOptions = {}): AdaptiveLimit {
  const { start = 16, min = 1, max = 32 } = options
  let limit = Math.min(start, max)
  const places = pLimit(Math.floor(limit))
  let usual: number | undefined
  let recent = 0
  let sinceChange = 0

  function shrink(factor: number): void {
    // What is on its way was sent under the old limit and says nothing about the new one.
    if (sinceChange < Math.floor(limit)) return
    setLimit(Math.max(min, limit * factor))
    sinceChange = 0
  }

  function setLimit(next: number): void {
    limit = next
    if (places.concurrency !== Math.floor(limit)) places.concurrency = Math.floor(limit)
  }

  return {
    get limit() {
      return Math.floor(limit)
    },
    run: (work) => places(work),
    succeeded(latencyMs) {
      sinceChange += 1
      if (usual === undefined) {
        usual = latencyMs
        recent = latencyMs
      }
      recent += (latencyMs - recent) * 0.2
      // The usual latency follows quickly downwards and slowly upwards, so that a rise stands out for a while.
      usual += (latencyMs - usual) * (latencyMs < usual ? 0.1 : 0.005)
      if (recent > usual * RISE + SLACK_MS) shrink(0.75)
      else setLimit(Math.min(max, limit + 1 / limit))
    },
    refused() {
      sinceChange += 1
      shrink(0.5)
    },
  }
}
