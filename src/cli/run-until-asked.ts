import process from 'node:process'
import { type Closers, createService } from '../base/index.js'
import type { GivenByOptions } from '../config/index.js'
import { unendedThreadCount } from '../inference/basics/index.js'
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
  let over: Promise<unknown> | undefined
  const open = async (signal: AbortSignal, closers: Closers) => {
    const started = await start({ ...context, signal }, closers)
    over = started.over
  }
  const command = createService('command', open, context)
  try {
    await command.start({ signal: context.signal }).catch((error: unknown) => {
      if (!context.signal.aborted) throw error // else it was asked to end while it started
    })
    context.log.info({ settings: context.settings(given) }, 'settings')
    await Promise.race([whenAborted(context.signal), ...(over === undefined ? [] : [failIfError(over)])])
  } finally {
    await command.stop()
    // What only waits for its next attempt, as while Redis is unreachable, keeps no part alive that has closed all.
    setTimeout(() => process.exit(), LINGER_MS).unref()
  }
  if (unendedThreadCount() > 0) process.exit()
}

async function failIfError(over: Promise<unknown>): Promise<void> {
  const end = await over
  if (end instanceof Error) throw end
}

/** Resolves when the signal aborts; never rejects. */
export function whenAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
