import { endWithTheReader } from '../broken-pipe.js'
import { createClosers } from '../closers.js'
import { type FleetLink, openFleetLink } from '../compose/fleet-link.js'
import { type CliContext, openContext } from '../context.js'

/** Somebody sits there and waits; services, which may be started before their Redis, wait longer. */
const CONNECT_TIMEOUT_MS = 3000

/** Opens the fleet for one look or act, and closes it again. */
export async function withFleet(work: (fleet: FleetLink, context: CliContext) => Promise<void>): Promise<void> {
  endWithTheReader()
  const context = openContext({ quiet: true })
  const closers = createClosers(context.log)
  try {
    // What goes wrong with Redis is thrown, in a sentence; a warning before it says the same less well.
    const log = context.log.level === 'warn' ? context.log.child({}, { level: 'error' }) : context.log
    await work(await openFleetLink({ ...context, log }, closers, { connectTimeoutMs: CONNECT_TIMEOUT_MS }), context)
  } finally {
    await closers.closeAll()
  }
}
