import { resolve } from 'node:path'
import process from 'node:process'
import { createLogger, type Logger, silentLogger } from '../base/logger.js'
import { loadEnvironment } from '../config/load.js'
import type { Environment } from '../config/variables.js'

/** What every command starts from: settings, a logger on stderr, and a signal that SIGINT and SIGTERM abort. */
export type CliContext = {
  readonly environment: Environment
  readonly log: Logger
  readonly signal: AbortSignal
}

/** `quiet` commands print their own result and log warnings only. */
export function openContext(options: { readonly quiet?: boolean } = {}): CliContext {
  const { environment, warnings } = loadEnvironment()
  const level =
    options.quiet === true && environment.LOOPFLEET_LOG_LEVEL === 'info' ? 'warn' : environment.LOOPFLEET_LOG_LEVEL
  const log = level === 'silent' ? silentLogger() : createLogger({ level, pretty: process.stderr.isTTY === true })
  for (const warning of warnings) log.warn(warning)
  return { environment, log, signal: untilAskedToEnd(log) }
}

/** The data folder as an absolute path: the flag, else DATA_FOLDER. */
export function dataFolder(flag: string | undefined, environment: Environment): string {
  return resolve(flag ?? environment.DATA_FOLDER)
}

function untilAskedToEnd(log: Logger): AbortSignal {
  const controller = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => {
      if (controller.signal.aborted && name === 'SIGINT') process.exit(130) // a second Ctrl-C means it
      log.info({ signal: name }, 'asked to end')
      controller.abort(name)
    })
  }
  return controller.signal
}
