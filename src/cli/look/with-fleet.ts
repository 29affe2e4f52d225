import { withClosers } from '../../base/index.js'
import { endWithTheReader } from '../broken-pipe.js'
import { type FleetLink, openFleetLink } from '../compose/fleet-link.js'
import { type CliContext, openContext } from '../context.js'

/** Somebody sits there and waits; services, which may be started before their Redis, wait longer. */
const CONNECT_TIMEOUT_MS = 3000

type Work = (fleet: FleetLink, context: CliContext) => Promise<void>

/** Opens the fleet to read, also from a Redis that rejects writes, and closes it again. */
export const readFleet = (work: Work): Promise<void> => withFleet(work, 'read')

/** Opens the fleet to change something, and closes it again; throws LF_REDIS_UNFIT where nothing can be written. */
export const changeFleet = (work: Work): Promise<void> => withFleet(work, 'write')

async function withFleet(work: Work, access: 'read' | 'write'): Promise<void> {
  endWithTheReader()
  const context = openContext({ quiet: true })
  const ending = new AbortController()
  const signal = AbortSignal.any([context.signal, ending.signal])
  await withClosers(context.log, async (closers) => {
    // What goes wrong with Redis is thrown, in a sentence; a warning before it says the same less well.
    const log = context.log.level === 'warn' ? context.log.child({}, { level: 'error' }) : context.log
    const options = { connectTimeoutMs: CONNECT_TIMEOUT_MS, waitsForLoading: false, access }
    const fleet = await openFleetLink({ ...context, log, signal }, closers, options)
    closers.add('work', () => ending.abort())
    // What is shown is right also when all hosts are dead; if it cannot be done now, the rest is shown all the same.
    await fleet.trainings.returnSilent().catch(() => undefined)
    await work(fleet, context)
  })
}
