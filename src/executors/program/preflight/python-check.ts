import { readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { z } from 'zod'
import { pythonHelperFolder } from '../../contract/index.js'
import type { PythonEntry } from './entry.js'

const answerSchema = z.object({
  python: z.string(),
  problem: z.string().nullable(),
  missing: z.array(z.object({ name: z.string(), line: z.int().nullable() })),
  unknown: z.array(
    z.object({ name: z.string(), line: z.int().nullable(), why: z.string(), byPackage: z.boolean().default(false) }),
  ),
})
export type PythonAnswer = z.output<typeof answerSchema>

const MARK = 'loopfleet-preflight '

/** The helper goes with the command, since an interpreter in a container may not see our folder. */
export async function pythonCheckCommand(
  interpreter: string,
  { flags, kind, target }: PythonEntry,
): Promise<readonly [string, ...string[]]> {
  const source = await readFile(join(pythonHelperFolder, 'loopfleet_preflight.py'), 'utf8')
  return [interpreter, ...flags, '-c', source, kind, target]
}

/** What the helper has answered; undefined if it was not run, as by a program that only looks like a Python. */
export function parsePythonAnswer(output: string): PythonAnswer | undefined {
  const line = output.split('\n').findLast((each) => each.startsWith(MARK))
  if (line === undefined) return undefined
  try {
    return answerSchema.safeParse(JSON.parse(line.slice(MARK.length))).data
  } catch {
    return undefined // somebody else's line
  }
}

/** Why the entry cannot begin, in one sentence; undefined if nothing is certain. */
export function problemOf(
  answer: PythonAnswer,
  { kind, target }: PythonEntry,
  { interpreter, reported }: { readonly interpreter: string; readonly reported: ReadonlySet<string> },
): string | undefined {
  const by = `${interpreter} (Python ${answer.python})`
  if (answer.problem !== null) return `${by} cannot begin: ${answer.problem}.`
  const confirmed = answer.unknown.filter(({ name, byPackage }) => byPackage && reported.has(topOf(name)))
  const missing = [...answer.missing, ...confirmed].map(({ name, line }) => ({ name: topOf(name), line }))
  const [first] = missing
  if (first === undefined) return undefined
  if (first.line === null) return `${by} finds no module ${first.name}, which the command starts.`
  const where = kind === 'script' ? basename(target) : kind === 'module' ? target : 'the code of the command'
  const each = missing.filter(({ name }, index) => missing.findIndex((other) => other.name === name) === index)
  if (each.length === 1) return `${by} finds no module ${first.name}, which ${where} imports in line ${first.line}.`
  const names = each.map(({ name, line }) => `${name} (line ${line})`).join(', ')
  return `${by} does not find the modules ${names}, which ${where} imports.`
}

/** What could not be known, a line each. */
export function notesOf({ unknown }: PythonAnswer, { kind, target }: PythonEntry): string[] {
  const where = kind === 'script' ? basename(target) : kind === 'code' ? '-c' : target
  const texts = unknown.map(({ name, line, why }) =>
    line === null ? `${where}: ${why}` : `${where}, line ${line}: ${name} was not found, but ${why}`,
  )
  return [...new Set(texts)]
}

function topOf(name: string): string {
  return name.split('.')[0] ?? name
}
