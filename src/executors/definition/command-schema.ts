import { z } from 'zod'
import {
  hyperparameterOf,
  isHyperparameter,
  isPlaceholder,
  type Placeholder,
  placeholderMeanings,
  placeholdersIn,
} from './placeholders.js'

/** Arguments that stand there only when a value is given, or another list when it is not. */
export type ArgumentGroup = { readonly if: string; readonly then: readonly string[]; readonly else: readonly string[] }
/** A command of a trainer file: the program, then arguments with placeholders and groups. */
export type CommandTemplate = readonly [string, ...(string | ArgumentGroup)[]]

/** What `if` may name besides hyperparameters. */
export const ownConditions = ['gpus', 'resolution', 'model_variant'] as const

const groupSchema = z.strictObject({
  if: z.string().min(1).describe('A hyperparameter, or gpus, resolution, model_variant.'),
  // biome-ignore lint/suspicious/noThenProperty: the key of the trainer file, never awaited
  then: z.array(z.string()).default([]),
  else: z.array(z.string()).default([]),
})
const argumentSchema = z.union([z.string(), groupSchema, z.array(z.union([z.string(), groupSchema]))], {
  error: 'must be a text, {if: HYPERPARAMETER, then: [ARGUMENT, …]}, or a list of them',
})

export type CommandRules = {
  /** What `if` may name; any name without it, since hyperparameters are checked where all of them are known. */
  readonly conditions?: readonly string[]
  /** Whether the command may use values of an order. */
  readonly hasHyperparameters?: boolean
}

/**
 * A command whose placeholders are among the allowed ones. A list inside the list is put in its place, so that
 * commands can share arguments by a YAML anchor.
 */
export function commandSchema(allowed: readonly Placeholder[], rules: CommandRules = {}) {
  const { conditions, hasHyperparameters = true } = rules
  return z
    .tuple([z.string().min(1)], argumentSchema, { error: 'must be a list: the program, then its arguments' })
    .transform(([program, ...rest]): CommandTemplate => [program, ...rest.flat()])
    .superRefine((command, context) => {
      const add = (index: number, message: string) => context.addIssue({ code: 'custom', path: [index], message })
      for (const [index, argument] of command.entries()) {
        if (typeof argument !== 'string' && conditions?.includes(argument.if) === false)
          add(index, `has the unknown condition "${argument.if}"; known here are ${conditions.join(', ')}`)
        for (const text of argumentsOf(argument)) {
          const problem =
            placeholderProblem(text, allowed, hasHyperparameters) ?? (index === 0 ? programProblem(text) : undefined)
          if (problem !== undefined) add(index, problem)
        }
      }
    })
}

/** Names of hyperparameters that a command uses, in placeholders and conditions. */
export function hyperparametersUsed(command: CommandTemplate): string[] {
  const conditions = command.flatMap((argument) => (typeof argument === 'string' ? [] : [argument.if]))
  const placeholders = command.flatMap((argument) => argumentsOf(argument).flatMap(placeholdersIn))
  const own: readonly string[] = ownConditions
  return [
    ...conditions.filter((name) => !own.includes(name)),
    ...placeholders.filter(isHyperparameter).map(hyperparameterOf),
  ]
}

/** The command as it stands in the file, in one line for people. */
export function commandText(command: CommandTemplate): string {
  return command.flatMap((argument) => (typeof argument === 'string' ? [argument] : argument.then)).join(' ')
}

/** All that may stand in its place. */
export function argumentsOf(argument: string | ArgumentGroup): readonly string[] {
  return typeof argument === 'string' ? [argument] : [...argument.then, ...argument.else]
}

function placeholderProblem(
  argument: string,
  allowed: readonly Placeholder[],
  hasHyperparameters: boolean,
): string | undefined {
  const list = [...allowed, ...(hasHyperparameters ? ['hyperparameters.NAME'] : [])]
    .map((name) => `{${name}}`)
    .join(' ')
  for (const name of placeholdersIn(argument)) {
    if (hasHyperparameters && isHyperparameter(name)) continue
    if (!isPlaceholder(name))
      return `has the unknown placeholder {${name}}; known here are ${list}; write {{${name}}} for the text itself`
    if (!allowed.includes(name))
      return `uses {${name}} (${placeholderMeanings[name]}), which this command has not; known here are ${list}`
  }
  return argument.includes('\0') ? 'must not hold a NUL character' : undefined
}

/** What the Loop sends may be an argument, but never choose the program. */
function programProblem(program: string): string | undefined {
  const chosen = placeholdersIn(program).find((name) => isHyperparameter(name) || name === 'model_variant')
  return chosen === undefined ? undefined : `uses {${chosen}}, but an order must not choose the program`
}
