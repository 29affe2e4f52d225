import { z } from 'zod'

/** What stands for a function where a plug-in is described as data. */
export const FUNCTION_MARK = '[function]'

/** A hook in the schema of a plug-in's description. */
export const hookSchema = z.literal(FUNCTION_MARK, { error: 'must be a function' })

/** The plug-in as plain data, its functions marked; what JSON has no word for is left out. */
export function describe(plugin: unknown): unknown {
  const text = JSON.stringify(plugin, (_key, value: unknown) => (typeof value === 'function' ? FUNCTION_MARK : value))
  return JSON.parse(text)
}
