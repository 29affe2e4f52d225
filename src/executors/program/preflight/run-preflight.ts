import { mkdir, open, readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { removeTree } from '../../../base/index.js'
import { findProgram, ProgramNotFoundError } from '../../../process/index.js'
import {
  BASE_MODEL_FOLDER,
  CommandFailedError,
  CommandTimedOutError,
  DATASET_FOLDER,
  programEnvironment,
  type VisibleGpu,
} from '../../contract/index.js'
import { buildCommand } from '../command.js'
import type { OutputWatchDeps } from '../output-watch.js'
import { runToEnd } from '../run-to-end.js'
import { type Entry, entryOf, isPythonName } from './entry.js'
import type { PreflightPlan } from './plan.js'
import { notesOf, parsePythonAnswer, problemOf, pythonCheckCommand } from './python-check.js'

export type PreflightOptions = {
  /** Absolute; emptied before, and the working directory of all that is started. */
  readonly workspace: string
  /** The worker's environment; only allowed names are handed on. */
  readonly env: Readonly<Record<string, string | undefined>>
  readonly gpus: readonly VisibleGpu[]
  readonly owner: string
  /** For each program that is started. */
  readonly timeoutMs: number
  /** Modules that a program of this trainer did not find when it failed. */
  readonly reported: ReadonlySet<string>
  readonly signal: AbortSignal
}

/** `notes` are what could not be known; `reason` is one sentence. */
export type PreflightResult =
  | { readonly passed: true; readonly notes: readonly string[] }
  | { readonly passed: false; readonly reason: string }

type Check = PreflightOptions & { readonly plan: PreflightPlan; readonly childEnv: Record<string, string> }

const LOG = 'preflight.log'

/**
 * Whether work of a trainer or converter can begin on this host. Throws the signal's reason, and what the machine has against
 * starting any program at all, from which nothing follows.
 */
export async function runPreflight(
  plan: PreflightPlan,
  options: PreflightOptions,
  deps: OutputWatchDeps,
): Promise<PreflightResult> {
  const { workspace } = options
  await removeTree(workspace)
  // As in a real workspace, where -m and -c find these as packages.
  for (const folder of [DATASET_FOLDER, BASE_MODEL_FOLDER]) await mkdir(join(workspace, folder), { recursive: true })
  const childEnv = programEnvironment(plan.definition, { host: options.env, workspace, gpus: options.gpus })
  const check: Check = { ...options, plan, childEnv }
  try {
    return plan.own === undefined ? await checkEntries(check, deps) : await runOwn(check, plan.own, deps)
  } catch (error) {
    const reason = reasonOf(error, check)
    if (reason === undefined) throw error
    return { passed: false, reason }
  }
}

async function runOwn(check: Check, own: NonNullable<PreflightPlan['own']>, deps: OutputWatchDeps) {
  const { definition } = check.plan
  const values = { workspace: check.workspace, converter: definition.folder }
  const given = new Set(check.gpus.length > 0 ? ['gpus'] : [])
  await start(check, buildCommand(definition, own, values, given), 'preflight', deps)
  return { passed: true, notes: [] } as const
}

async function checkEntries(check: Check, deps: OutputWatchDeps): Promise<PreflightResult> {
  const { definition, commands } = check.plan
  const entries = new Map(
    commands.map((command) => {
      const entry = entryOf(definition, command)
      return [JSON.stringify(entry), entry] as const
    }),
  )
  const notes: string[] = []
  for (const entry of entries.values()) {
    const result = await checkEntry(check, entry, deps)
    if (!result.passed) return result
    notes.push(...result.notes)
  }
  return { passed: true, notes }
}

async function checkEntry(check: Check, { program, python }: Entry, deps: OutputWatchDeps): Promise<PreflightResult> {
  if (program === undefined) return { passed: true, notes: ['which program is started is known with an order only'] }
  const file = await findProgram(program, { cwd: check.workspace, path: check.childEnv.PATH })
  if (python !== undefined) return await checkPython(check, program, python, deps)
  const interpreter = await interpreterOf(file)
  if (interpreter === undefined) return { passed: true, notes: [`what ${basename(program)} starts is not checked`] }
  const found = await findProgram(interpreter, { cwd: check.workspace, path: check.childEnv.PATH }).catch(
    (error: unknown) => {
      if (error instanceof ProgramNotFoundError) return undefined
      throw error
    },
  )
  if (found === undefined)
    return { passed: false, reason: `${file} is started by ${interpreter}, which was not found on this host.` }
  if (!isPythonName(found)) return { passed: true, notes: [`what ${basename(program)} starts is not checked`] }
  const result = await checkPython(check, interpreter, { flags: [], kind: 'script', target: file }, deps)
  const note = `what ${basename(program)} starts is not checked`
  return result.passed ? { ...result, notes: [...result.notes, note] } : result
}

async function checkPython(
  check: Check,
  interpreter: string,
  entry: NonNullable<Entry['python']>,
  deps: OutputWatchDeps,
): Promise<PreflightResult> {
  const output = await start(check, await pythonCheckCommand(interpreter, entry), interpreter, deps)
  const answer = parsePythonAnswer(output)
  if (answer === undefined) return { passed: true, notes: [`${interpreter} did not answer as a Python does`] }
  const reason = problemOf(answer, entry, { interpreter, reported: check.reported })
  return reason === undefined ? { passed: true, notes: notesOf(answer, entry) } : { passed: false, reason }
}

/** Returns what the program has printed. */
async function start(
  check: Check,
  command: readonly [string, ...string[]],
  shown: string,
  deps: OutputWatchDeps,
): Promise<string> {
  const logFile = join(check.workspace, LOG)
  const { workspace: cwd, childEnv: env, owner, timeoutMs, signal } = check
  await runToEnd(
    { command, commandText: shown, cwd, env, owner, logFile, timeoutMs, signal, errors: check.plan.definition.errors },
    deps,
  )
  return await readFile(logFile, 'utf8')
}

/** What the first line of a script names, which the kernel starts; undefined for a binary, or for what is not sure. */
async function interpreterOf(file: string): Promise<string | undefined> {
  const handle = await open(file, 'r')
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(256), 0, 256, 0)
    const line = /^#![ \t]*([^\s]+)[ \t]*([^\s]*)[ \t]*\r?\n/.exec(buffer.subarray(0, bytesRead).toString('latin1'))
    const [, program, argument] = line ?? []
    if (program === undefined || argument === undefined) return undefined
    if (basename(program) !== 'env') return program.startsWith('/') ? program : undefined
    return argument === '' || argument.startsWith('-') || argument.includes('=') ? undefined : argument
  } finally {
    await handle.close()
  }
}

function reasonOf(error: unknown, { plan, timeoutMs }: Check): string | undefined {
  if (error instanceof ProgramNotFoundError) return error.message
  const what = (shown: unknown) => (plan.own === undefined ? `The interpreter ${String(shown)}` : 'The preflight')
  if (error instanceof CommandTimedOutError)
    return `${what(error.details.command)} took longer than ${timeoutMs / 1000} s.`
  if (error instanceof CommandFailedError) return `${what(error.details.command)} ${error.end}.`
  return undefined
}
