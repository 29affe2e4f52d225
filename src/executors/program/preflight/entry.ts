import { basename } from 'node:path'
import { type ArgumentGroup, type CommandTemplate, placeholdersIn } from '../../definition/index.js'
import { buildCommand } from '../command.js'

/** What a command begins with, as far as that is known without an order. */
export type Entry = {
  /** A path, or a name that is searched on the PATH; undefined if an order or a workspace decides. */
  readonly program: string | undefined
  /** What is behind the interpreter; undefined if the program is no Python. */
  readonly python: PythonEntry | undefined
}

export type PythonEntry = {
  /** Those that say where modules are found. */
  readonly flags: readonly string[]
  /** `start` if only the interpreter is known. */
  readonly kind: 'script' | 'module' | 'code' | 'start'
  readonly target: string
}

type Definition = { readonly name: string; readonly folder: string; readonly python: string }

const UNKNOWN = '\0'
const START = { kind: 'start', target: '' } as const
/** -E, -I, -s, -S and -P say where modules are found; the others do not matter before the first line of the script. */
const SEARCH_FLAGS = 'EIsSP'
const FLAGS_WITH_VALUE = 'WX'

/** The program of a command and, behind a Python, its script, module or code. */
export function entryOf(definition: Definition, command: CommandTemplate): Entry {
  const { folder } = definition
  const [first, ...rest] = command
  const known: CommandTemplate = [knownText(first), ...rest.map(knownText)]
  const [program, ...args] = buildCommand(definition, known, { trainer: folder, converter: folder })
  if (program.includes(UNKNOWN)) return { program: undefined, python: undefined }
  const isPython = first === 'python' || isPythonName(program)
  return { program, python: isPython ? pythonEntryOf(args) : undefined }
}

export function isPythonName(program: string): boolean {
  return /^(python|pypy)\d*(\.\d+)*$/.test(basename(program))
}

/** An argument that only an order or a workspace completes is unknown. */
function knownText(argument: string | ArgumentGroup): string {
  if (typeof argument !== 'string') return UNKNOWN
  return placeholdersIn(argument).every((name) => name === 'trainer' || name === 'converter') ? argument : UNKNOWN
}

/** Reads the arguments as Python does: options until a script, -m or -c. */
function pythonEntryOf(args: readonly string[]): PythonEntry {
  const flags: string[] = []
  for (let index = 0; index < args.length; index += 1) {
    const word = args[index] ?? UNKNOWN
    if (word.includes(UNKNOWN) || word === '-' || word.startsWith('--')) return { flags, ...START }
    if (!word.startsWith('-')) return { flags, ...scriptEntry(word) }
    const option = readOptions(word.slice(1), args[index + 1])
    flags.push(...option.flags)
    if (option.entry !== undefined) return { flags, ...option.entry }
    if (option.takesNext) index += 1
  }
  return { flags, ...START }
}

type Options = {
  readonly flags: readonly string[]
  readonly entry?: Pick<PythonEntry, 'kind' | 'target'>
  readonly takesNext?: boolean
}

/** One word of letters, such as `uBm`: the rest of the word, or else the next one, is the value of the last letter. */
function readOptions(letters: string, next: string | undefined): Options {
  const flags: string[] = []
  for (const [index, letter] of [...letters].entries()) {
    const rest = letters.slice(index + 1)
    const value = rest === '' ? next : rest
    if (letter === 'x') return { flags, entry: START } // the first line of the script is passed over
    if (letter === 'm' || letter === 'c') {
      if (value === undefined || value.includes(UNKNOWN)) return { flags, entry: START }
      return { flags, entry: { kind: letter === 'm' ? 'module' : 'code', target: value } }
    }
    if (FLAGS_WITH_VALUE.includes(letter)) return { flags, takesNext: rest === '' }
    if (SEARCH_FLAGS.includes(letter)) flags.push(`-${letter}`)
  }
  return { flags }
}

/** A path that is still relative begins in the workspace, which is there with a training only. */
function scriptEntry(path: string): Pick<PythonEntry, 'kind' | 'target'> {
  return path.startsWith('/') ? { kind: 'script', target: path } : START
}
