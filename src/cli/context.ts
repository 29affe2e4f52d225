import { mkdirSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import process from 'node:process'
import { createLogger, type Logger, silentLogger } from '../base/logger/index.js'
import {
  type Environment,
  hasParent,
  loadEnvironment,
  type WatchedEnvironment,
  watchEnvironment,
} from '../config/index.js'

/** What every command starts from: settings, a logger on stderr, and a signal that SIGINT and SIGTERM abort. */
export type CliContext = {
  readonly environment: Environment
  readonly log: Logger
  readonly signal: AbortSignal
}

/** With the settings that were read, for the log. */
type OpenedContext = CliContext & Pick<WatchedEnvironment, 'settings'>

/** `quiet` commands print their own result and log warnings only. */
export function openContext(options: { readonly quiet?: boolean } = {}): OpenedContext {
  const { warnings, sources, ...loaded } = loadEnvironment()
  const { environment, settings } = watchEnvironment(loaded.environment, sources)
  const level =
    options.quiet === true && environment.LOOPFLEET_LOG_LEVEL === 'info' ? 'warn' : environment.LOOPFLEET_LOG_LEVEL
  const log = level === 'silent' ? silentLogger() : createLogger({ level, pretty: process.stderr.isTTY === true })
  for (const warning of warnings) log.warn(warning)
  return { environment, settings, log, signal: untilAskedToEnd(log) }
}

/** The data folder as an absolute path: the flag, else DATA_FOLDER. It is made if it is missing. */
export function dataFolder(flag: string | undefined, environment: Environment): string {
  const folder = resolve(flag ?? environment.DATA_FOLDER)
  makeFolder(folder)
  return folder
}

// Level by level: where a file system lets nobody make folders (/proc, an automounter's), Node's recursive mkdir turns
// in circles indefinitely, and receives no signal meanwhile.
function makeFolder(folder: string): void {
  if (statSync(folder, { throwIfNoEntry: false }) !== undefined) return
  makeFolder(dirname(folder))
  try {
    mkdirSync(folder)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
  }
}

function untilAskedToEnd(log: Logger): AbortSignal {
  const controller = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => {
      if (controller.signal.aborted) {
        // A parent counts the signals: it passes on what a terminal may have sent to this process, too.
        if (!hasParent()) process.exit(name === 'SIGINT' ? 130 : 143)
        return
      }
      log.info({ signal: name }, 'asked to end')
      controller.abort(name)
    })
  }
  return controller.signal
}
