import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { availableCpus, hasCode, helperEnvironment } from '../../../base/index.js'

const run = promisify(execFile)

/** Checks files of one folder by the program `jpeginfo`. */
export type Jpeginfo = {
  /** Whether the file decodes; undefined when the program said nothing about it. */
  check(name: string): Promise<boolean | undefined>
  /** Resolves when no program of it runs any more. */
  end(): Promise<void>
}

/** How many of them may run side by side. */
export const MAX_JPEGINFO_RUNS = Math.min(4, Math.max(1, availableCpus() - 1))
const MAX_BATCH = 64
const TIMEOUT_MS = 60_000

/** Whether `jpeginfo` is on the PATH. */
export function hasJpeginfo(): Promise<boolean> {
  return hasProgram('jpeginfo')
}

/** Whether `stdbuf` is on the PATH, without which jpeginfo answers only at its end. */
export function hasStdbuf(): Promise<boolean> {
  return hasProgram('stdbuf')
}

async function hasProgram(name: string): Promise<boolean> {
  try {
    await run(name, ['--version'], { timeout: 10_000, env: helperEnvironment() })
    return true
  } catch (error) {
    return !hasCode(error, 'ENOENT', 'EACCES')
  }
}

/**
 * A checker over the folder's files, several per start of the program. Starting a program costs more than checking an image, so whatever came in while
 * one run was under way goes into the next one; names must be our own, they become arguments.
 */
export function createJpeginfoBatches(folder: string): Jpeginfo {
  let waiting: { readonly name: string; readonly done: (verdict: boolean | undefined) => void }[] = []
  let running = 0

  async function work(): Promise<void> {
    running += 1
    while (waiting.length > 0) {
      const batch = waiting.slice(0, MAX_BATCH)
      waiting = waiting.slice(MAX_BATCH)
      const verdicts = parseVerdicts(await outputFor(batch.map(({ name }) => name)))
      for (const { name, done } of batch) done(verdicts.get(name))
    }
    running -= 1
  }

  async function outputFor(names: readonly string[]): Promise<string> {
    try {
      const { stdout } = await run('jpeginfo', ['-c', ...names], {
        cwd: folder,
        timeout: TIMEOUT_MS,
        maxBuffer: 2 ** 20,
        env: helperEnvironment(),
      })
      return stdout
    } catch (error) {
      // A broken file among them makes the exit code 1, and the lines are there all the same.
      return error instanceof Error && 'stdout' in error ? String(error.stdout) : ''
    }
  }

  return {
    check: (name) =>
      new Promise((done) => {
        waiting.push({ name, done })
        if (running < MAX_JPEGINFO_RUNS) void work()
      }),
    end: () => Promise.resolve(), // nobody ends before all checks are answered, and then nothing runs
  }
}

/** One line per file, its name in front; only a line with a clean `OK` is a good file. */
export function parseVerdicts(output: string): Map<string, boolean> {
  const verdicts = new Map<string, boolean>()
  for (const line of output.split(/[\r\n]+/)) {
    const name = /^(\S+\.jpg)\s/.exec(line)?.[1]
    if (name !== undefined) verdicts.set(name, /\bOK\b/.test(line) && !/\b(WARNING|ERROR)\b/.test(line))
  }
  return verdicts
}
