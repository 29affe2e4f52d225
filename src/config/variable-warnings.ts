import { isNear } from '../base/index.js'
import { maxDetectionsPerPost } from '../loop/protocol/index.js'
import { type Environment, variables } from './variables.js'

/** What can be read but will hardly be what was meant: a sentence each, with what to set. */
export function doubtsAbout(environment: Environment): string[] {
  return [...doubtsAboutLogin(environment), ...doubtsAboutIds(environment), ...doubtsAboutNumbers(environment)]
}

function doubtsAboutLogin({ LOOP_USERNAME: username, LOOP_PASSWORD: password }: Environment): string[] {
  if (username !== undefined && password === undefined) {
    return ['LOOP_USERNAME is set without LOOP_PASSWORD, so there is no login; set both or none.']
  }
  if (username === undefined && password !== undefined) {
    return ['LOOP_PASSWORD is set without LOOP_USERNAME, so there is no login; set both or none.']
  }
  return []
}

function doubtsAboutIds(environment: Environment): string[] {
  return (['LOOP_ORGANIZATION', 'LOOP_PROJECT'] as const).flatMap((name) => {
    const id = environment[name]
    if (id === undefined || id === id.toLowerCase()) return []
    return [`${name} is "${id}", but ids of the Loop are in lower case; set "${id.toLowerCase()}".`]
  })
}

function doubtsAboutNumbers(environment: Environment): string[] {
  const { INFERENCE_BATCH_SIZE: batch, LOOP_PROTOCOL, VERSION_CONTROL_DEFAULT: mode } = environment
  const most = maxDetectionsPerPost[LOOP_PROTOCOL]
  const doubts: string[] = []
  if (batch !== undefined && batch > most) {
    doubts.push(`INFERENCE_BATCH_SIZE is ${batch}, but the Loop takes ${most} at once, so ${most} counts.`)
  }
  if (!['follow_loop', 'pause'].includes(mode.toLowerCase())) {
    doubts.push(`VERSION_CONTROL_DEFAULT is "${mode}", which follows the Loop; set pause or follow_loop.`)
  }
  return doubts
}

// Short names such as HOST or PROJECT are near to many that have nothing to do with us.
const own = Object.keys(variables).filter((name) => name.includes('_'))
const known = new Set(Object.entries(variables).flatMap(([name, variable]) => [name, aliasOf(variable)]))

/** Names in the environment that are near to one of ours, and set without effect. */
export function doubtsAboutNames(names: readonly string[]): string[] {
  return names.flatMap((name) => {
    if (known.has(name) || !name.includes('_')) return []
    const meant = own.find((one) => isNear(one, name))
    return meant === undefined ? [] : [`${name} is no variable of loopfleet; set ${meant} if that was meant.`]
  })
}

function aliasOf(variable: object): string | undefined {
  return 'alias' in variable ? String(variable.alias) : undefined
}
