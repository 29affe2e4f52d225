import type { Environment } from './variables.js'

/** What an option of the command line says in place of a variable. */
export type GivenByOptions = {
  readonly [Name in keyof Environment]?: { readonly option: string; readonly value: unknown }
}

export type WatchedEnvironment = {
  readonly environment: Environment
  /** Of the variables that were read so far: each in words, with its source. */
  settings(given: GivenByOptions): Readonly<Record<string, string>>
}

/** Notes what is read, since each part reads some variables only. */
export function watchEnvironment(
  environment: Environment,
  sources: Readonly<Record<string, string>>,
): WatchedEnvironment {
  const readNames = new Set<PropertyKey>()
  const watched = new Proxy(environment, {
    get(target, name, receiver) {
      readNames.add(name)
      return Reflect.get(target, name, receiver)
    },
  })
  return {
    environment: watched,
    settings(given) {
      const byOption = Object.entries(given).flatMap(([name, { option, value }]) =>
        value === undefined ? [] : [[name, `${value} from ${option}`]],
      )
      const wasRead = Object.entries(sources).filter(([name]) => readNames.has(name))
      return { ...Object.fromEntries(wasRead), ...Object.fromEntries(byOption) }
    },
  }
}
