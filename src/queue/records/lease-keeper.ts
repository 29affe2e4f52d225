import { type Closers, createService, every, type Service } from '../../base/index.js'
import type { Logger } from '../../base/logger/index.js'
import { type RedisLink, reportOrLeave, untilAborted } from '../redis/index.js'
import { levelOf } from '../redis-basics/index.js'
import type { Claim, Granted, Leases, Renewal } from './leases.js'

export type LeaseKeeperOptions = { readonly leaseMs: number }

export type LeaseKeeperDeps = {
  readonly link: RedisLink
  readonly leases: Leases
  /** What the host works on at the moment. */
  readonly held: () => readonly Claim[]
  /** Done before each renewal. */
  readonly beforeRenewal?: () => Promise<void>
  /** What became of each, after every renewal. */
  readonly onRenewed: (records: readonly Renewal[]) => void
  /** Records that dead or silent hosts had wait again. */
  readonly onReturned: (ids: readonly string[]) => void
  readonly log: Logger
}

/**
 * Renews the leases of a host six times in each lease, and as soon as Redis is reachable again, and lets records wait
 * again whose hosts are silent. It also runs on a host without records, whose calls keep the time.
 */
export function createLeaseKeeper({ leaseMs }: LeaseKeeperOptions, deps: LeaseKeeperDeps): Service {
  const { link, leases, log } = deps
  let renewing: Promise<void> | undefined

  async function renew(signal: AbortSignal): Promise<void> {
    try {
      await untilAborted(deps.beforeRenewal?.() ?? Promise.resolve(), signal)
      const { granted, records } = await untilAborted(leases.renew(deps.held()), signal)
      report(granted)
      deps.onRenewed(records)
      const returned = await untilAborted(leases.returnExpired(), signal)
      if (returned.length > 0) deps.onReturned(returned)
    } catch (error) {
      if (!signal.aborted) log[levelOf(error)]({ err: error }, 'leases not renewed')
    }
  }

  // While Redis is unreachable one renewal waits for it, and is sent when it is back.
  function renewOnce(signal: AbortSignal): Promise<void> {
    renewing ??= renew(signal).finally(() => {
      renewing = undefined
    })
    return renewing
  }

  function report(granted: Granted): void {
    if (granted === 'time') log.warn('the clock of Redis jumped, or no host reached it; all leases granted again')
    if (granted === 'server') log.warn('Redis is another server than before; all leases granted again')
  }

  async function open(signal: AbortSignal, closers: Closers): Promise<void> {
    closers.add('leave', () => reportOrLeave(link, () => leases.leave()))
    closers.add('renewal', () => renewing)
    await renewOnce(signal)
    every(leaseMs / 6, () => renewOnce(signal), closers, 'leases')
    closers.add(
      'reconnect',
      link.onReconnect(() => void renewOnce(signal)),
    )
  }

  return createService('lease keeper', open, { log })
}
