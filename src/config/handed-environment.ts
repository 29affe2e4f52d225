import { closeSync, readSync } from 'node:fs'
import process from 'node:process'
import { variables } from './variables.js'

export type RawEnvironment = Readonly<Record<string, string | undefined>>

/** The pipe of src/cli/launch/launch.sh. */
const PIPE = 4
const PARENT_VARIABLE = 'LOOPFLEET_PARENT'

let handed: RawEnvironment | undefined

/**
 * Takes the environment that the parent hands over through a pipe, if this process has such a parent. Everything but
 * our secrets also gets into `process.env`, for libraries and plug-ins; /proc/PID/environ never shows any of it.
 */
export function takeHandedEnvironment(): boolean {
  const parent = process.env[PARENT_VARIABLE]
  delete process.env[PARENT_VARIABLE]
  if (parent === undefined || Number(parent) !== process.ppid) return false
  const text = Buffer.from(readPipe().replaceAll(/\s+/g, ''), 'hex').toString('utf8')
  closeSync(PIPE)
  const environment = Object.fromEntries(text.split('\0').flatMap(toEntry))
  handed = environment
  Object.assign(process.env, withoutSecrets(environment))
  return true
}

// readFileSync asks for the type of the file first. After a pipe Node 20 resolves no symbolic link to a module any more
// (fs.realpathSync stops if the type that was read last is a pipe), and modules are missing or loaded twice.
function readPipe(): string {
  let text = ''
  const chunk = Buffer.alloc(65_536)
  for (;;) {
    const bytes = readSync(PIPE, chunk)
    if (bytes === 0) return text
    text += chunk.toString('latin1', 0, bytes)
  }
}

/** Whether a parent counts the signals and ends this process when it does not end itself. */
export function hasParent(): boolean {
  return handed !== undefined
}

/** The whole environment as this process was started with it. */
export function hostEnvironment(): RawEnvironment {
  return handed ?? process.env
}

function toEntry(text: string): [string, string][] {
  const end = text.indexOf('=')
  const name = text.slice(0, end)
  return end < 1 || name === PARENT_VARIABLE ? [] : [[name, text.slice(end + 1)]]
}

const secretNames: ReadonlySet<string> = new Set(
  Object.entries(variables).flatMap(([name, variable]) => {
    if (!('secret' in variable)) return []
    return 'alias' in variable ? [name, variable.alias] : [name]
  }),
)

function withoutSecrets(environment: RawEnvironment): RawEnvironment {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !secretNames.has(name)))
}
