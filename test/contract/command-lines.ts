import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Command } from 'commander'
import { createProgram } from '../../src/cli/program.js'
import { variables } from '../../src/config/variables.js'
import { packageRoot } from '../cli/run-cli.js'

/** The names of all environment variables that loopfleet reads. */
export const knownVariables: ReadonlySet<string> = new Set(
  Object.entries(variables).flatMap(([name, variable]) => ('alias' in variable ? [name, variable.alias] : [name])),
)

/** What is wrong with the arguments of `loopfleet …`, or undefined: command, options, values and trainer files are checked. */
export async function problemOf(args: readonly string[]): Promise<string | undefined> {
  const program = createProgram()
  disarm(program)
  try {
    await program.parseAsync([...args], { from: 'user' })
  } catch (error) {
    return `loopfleet ${args.join(' ')}: ${error instanceof Error ? error.message : error}`
  }
  const missing = args.filter((arg) => /^examples\/.*\.yaml$/.test(arg) && !existsSync(join(packageRoot, arg)))
  return missing.length === 0 ? undefined : `${missing.join(', ')} does not exist`
}

/** The commands do nothing and a bad one throws instead of ending the process. */
function disarm(command: Command): void {
  command.exitOverride()
  command.configureOutput({ writeErr: () => undefined, writeOut: () => undefined })
  if (command.parent !== null) command.action(() => undefined)
  for (const sub of command.commands) disarm(sub)
}

export type ShellLine = { readonly file: string; readonly line: string }

/** The lines of all `sh` blocks of a page, comments and continuations resolved. */
export async function shellLines(file: string): Promise<ShellLine[]> {
  const text = await readFile(join(packageRoot, file), 'utf8')
  const blocks = [...text.matchAll(/^```sh\n(.*?)^```/gms)].map((match) => match[1] ?? '')
  return blocks
    .flatMap((block) => block.replaceAll(/\\\n\s*/g, ' ').split('\n'))
    .map((line) => line.replace(/(^|\s)#\s.*$/, '').trim())
    .filter((line) => line !== '')
    .map((line) => ({ file, line }))
}

const WORD = /'[^']*'|"[^"]*"|[^\s]+/g

/** Words of a simple shell line without its quotes. */
export function wordsOf(line: string): string[] {
  return [...line.matchAll(WORD)].map(([word]) => (/^(['"]).*\1$/.test(word) ? word.slice(1, -1) : word))
}
