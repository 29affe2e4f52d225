import { InvalidInputError } from '../base/index.js'
import { hostEnvironment, type RawEnvironment } from './handed-environment.js'
import { warningsAbout, warningsAboutNames } from './variable-warnings.js'
import { type Environment, type Variable, variables } from './variables.js'

export type LoadedEnvironment = {
  readonly environment: Environment
  /** Sentences for the log: settings that were given but do not count. */
  readonly warnings: readonly string[]
  /** For the log: each value, without secrets, and where it comes from. */
  readonly sources: Readonly<Record<string, string>>
}

/**
 * Reads all variables, each under its name or its older one. The name takes precedence, since a shell may set HOST or
 * USERNAME of its own. Throws LF_INVALID_INPUT naming the variable.
 */
export function loadEnvironment(raw: RawEnvironment = hostEnvironment()): LoadedEnvironment {
  const sources: Record<string, string> = {}
  const read = ([name, variable]: [string, Variable]): [string, unknown] => {
    const source = [name, variable.alias].find((one) => one !== undefined && isSet(raw[one]))
    const value = parse(name, variable, { source, text: source === undefined ? undefined : raw[source] })
    if (value !== undefined) sources[name] = inWords(variable, value, source)
    return [name, value]
  }
  const environment = Object.fromEntries(Object.entries(variables).map(read)) as Environment
  const names = Object.keys(raw).filter((name) => isSet(raw[name]))
  return { environment, warnings: [...warningsAbout(environment), ...warningsAboutNames(names)], sources }
}

function isSet(text: string | undefined): boolean {
  return text !== undefined && text !== ''
}

function inWords(variable: Variable, value: unknown, source: string | undefined): string {
  const shown = variable.secret === true ? '***' : String(value) || 'none'
  return source === undefined ? `${shown} by default` : `${shown} from ${source}`
}

type Given = { readonly source: string | undefined; readonly text: string | undefined }

function parse(name: string, variable: Variable, { source = name, text }: Given): unknown {
  const parsed = variable.schema.safeParse(text)
  if (parsed.success) return parsed.data
  const shown = variable.secret === true ? 'its value' : `"${text}"`
  throw new InvalidInputError(`Variable ${source}: ${shown} is not usable (${parsed.error.issues[0]?.message}).`)
}
