import process from 'node:process'
import type { GivenByOptions } from '../config/settings.js'
import { exitDespiteLostThreads } from '../inference/lost-threads.js'
import { type Closers, createClosers, whenAborted } from './closers.js'
import { type CliContext, openContext } from './context.js'

/** For output that is still on its way. */
const LINGER_MS = 1_000

type Started = { readonly over?: Promise<unknown> }

/**
 * The life of a part that runs until it is asked to end: `start` opens things and registers their closers; they are
 * closed in reverse order on SIGINT, SIGTERM, when `start` throws, or when `over` settles first (with an error: throws it).
 */
export async function runUntilAsked(
  start: (context: CliContext, closers: Closers) => Promise<Started>,
  given: GivenByOptions = {},
): Promise<void> {
  const context = openContext()
  const closers = createClosers(context.log)
  try {
    const { over }: Started = await start(context, closers).catch((error: unknown): Started => {
      if (context.signal.aborted) return {} // asked to end while starting
      throw error
    })
    context.log.info({ settings: context.settings(given) }, 'settings')
    await Promise.race([whenAborted(context.signal), ...(over === undefined ? [] : [failIfError(over)])])
  } finally {
    await closers.closeAll()
    // What only waits for its next attempt, as while Redis is unreachable, keeps no part alive that has closed all.
    setTimeout(() => process.exit(), LINGER_MS).unref()
  }
  exitDespiteLostThreads()
}

async function failIfError(over: Promise<unknown>): Promise<void> {
  const end = await over
  if (end instanceof Error) throw end
}
