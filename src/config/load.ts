import { InvalidInputError } from '../base/errors.js'
import { doubtsAbout, doubtsAboutNames } from './doubts.js'
import { hostEnvironment, type RawEnvironment } from './handed-environment.js'
import { type Environment, type Variable, variables } from './variables.js'

export type LoadedEnvironment = {
  readonly environment: Environment
  /** Sentences for the log: settings that were given but do not count. */
  readonly warnings: readonly string[]
}

/**
 * Reads all variables, each under its name or its older one. Two different values count as none, with a warning, as the
 * Python library does it (a shell sets HOST or USERNAME of its own). Throws LF_INVALID_INPUT naming the variable.
 */
export function loadEnvironment(raw: RawEnvironment = hostEnvironment()): LoadedEnvironment {
  const warnings: string[] = []
  const entries = Object.entries(variables).map(([name, variable]) => [name, read(name, variable, raw, warnings)])
  const environment = Object.fromEntries(entries) as Environment
  const isSet = (name: string) => raw[name] !== undefined && raw[name] !== ''
  const names = Object.keys(raw).filter(isSet)
  return { environment, warnings: [...warnings, ...doubtsAbout(environment), ...doubtsAboutNames(names)] }
}

function read(name: string, variable: Variable, raw: RawEnvironment, warnings: string[]): unknown {
  const names = variable.alias === undefined ? [name] : [name, variable.alias]
  const values = new Set(names.map((one) => raw[one]).filter((value) => value !== undefined && value !== ''))
  const value = values.size === 1 ? [...values][0] : undefined
  const parsed = variable.schema.safeParse(value)
  if (values.size > 1) {
    const instead = parsed.data === undefined ? '' : ` and "${parsed.data}" is taken`
    warnings.push(`${names.join(' and ')} have different values, so neither counts${instead}; unset one.`)
  }
  if (parsed.success) return parsed.data
  const shown = variable.secret === true ? 'its value' : `"${value}"`
  throw new InvalidInputError(`Variable ${name}: ${shown} is not usable (${parsed.error.issues[0]?.message}).`)
}
