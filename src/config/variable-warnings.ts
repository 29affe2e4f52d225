import { isNear } from '../base/index.js'
import { maxDetectionsPerPost } from '../loop/protocol/index.js'
import { type Environment, variables } from './variables.js'

/** Valid values that are probably a mistake: one sentence each, with the value to set. */
export function warningsAbout(environment: Environment): string[] {
  return [...warningsAboutLogin(environment), ...warningsAboutIds(environment), ...warningsAboutNumbers(environment)]
}

function warningsAboutLogin({ LOOP_USERNAME: username, LOOP_PASSWORD: password }: Environment): string[] {
  if (username !== undefined && password === undefined) {
    return ['LOOP_USERNAME is set without LOOP_PASSWORD, so there is no login; set both or none.']
  }
  if (username === undefined && password !== undefined) {
    return ['LOOP_PASSWORD is set without LOOP_USERNAME, so there is no login; set both or none.']
  }
  return []
}

function warningsAboutIds(environment: Environment): string[] {
  return (['LOOP_ORGANIZATION', 'LOOP_PROJECT'] as const).flatMap((name) => {
    const id = environment[name]
    if (id === undefined || id === id.toLowerCase()) return []
    return [`${name} is "${id}", but ids of the Loop are in lower case; set "${id.toLowerCase()}".`]
  })
}

function warningsAboutNumbers(environment: Environment): string[] {
  const { INFERENCE_BATCH_SIZE: batch, LOOP_PROTOCOL, VERSION_CONTROL_DEFAULT: mode } = environment
  const most = maxDetectionsPerPost[LOOP_PROTOCOL]
  const warnings: string[] = []
  if (batch !== undefined && batch > most) {
    warnings.push(`INFERENCE_BATCH_SIZE is ${batch}, but the Loop takes ${most} in one upload, so ${most} counts.`)
  }
  if (!['follow_loop', 'pause'].includes(mode.toLowerCase())) {
    warnings.push(`VERSION_CONTROL_DEFAULT is "${mode}", which follows the Loop; set pause or follow_loop.`)
  }
  return warnings
}

// Short names such as HOST or PROJECT are similar to many names of other programs.
const longNames = Object.keys(variables).filter((name) => name.includes('_'))
const known = new Set(Object.entries(variables).flatMap(([name, variable]) => [name, aliasOf(variable)]))

/** Names in the environment that are similar to one of ours, and have no effect. */
export function warningsAboutNames(names: readonly string[]): string[] {
  return names.flatMap((name) => {
    if (known.has(name) || !name.includes('_')) return []
    const meant = longNames.find((one) => isNear(one, name))
    return meant === undefined ? [] : [`${name} is no variable of loopfleet; set ${meant} if that was meant.`]
  })
}

function aliasOf(variable: object): string | undefined {
  return 'alias' in variable ? String(variable.alias) : undefined
}
