import { resolve } from 'node:path'
import { OrderNotPossibleError } from '../contract/index.js'
import {
  type Command,
  type CommandTemplate,
  fillPlaceholders,
  type PlaceholderValues,
  type TrainerDefinition,
} from '../definition/index.js'

/**
 * The argument list that is started: groups whose condition holds put in, placeholders filled, `python` replaced by the
 * definition's interpreter, and the script after it, or a program that starts with `./`, looked for beside the
 * definition's file. Never a shell line.
 */
export function buildCommand(
  definition: Pick<TrainerDefinition, 'folder' | 'python' | 'name'>,
  command: CommandTemplate,
  values: PlaceholderValues,
  given: ReadonlySet<string> = new Set(),
  onMissing: (name: string) => never = (name) => missing(definition.name, name),
): Command {
  const all: PlaceholderValues = { trainer: definition.folder, ...values }
  const fill = (argument: string) => fillPlaceholders(argument, all, onMissing)
  const [program, ...rest] = command
  const args = rest.flatMap((argument) => {
    if (typeof argument === 'string') return [argument]
    return given.has(argument.if) ? argument.then : argument.else
  })
  if (program !== 'python') return [besideFile(definition, fill(program)), ...args.map(fill)]
  return [besideFile(definition, definition.python), ...withScript(definition, args).map(fill)]
}

/** A bare name is searched on the PATH; anything with a slash is relative to the definition's file. */
function besideFile(definition: { readonly folder: string }, program: string): string {
  return program.includes('/') ? resolve(definition.folder, program) : program
}

function withScript(definition: { readonly folder: string }, args: readonly string[]): string[] {
  const script = args.findIndex((argument) => !argument.startsWith('-'))
  return args.map((argument, index) => {
    const isScript = index === script && argument.endsWith('.py') && !argument.startsWith('{')
    return isScript ? resolve(definition.folder, argument) : argument
  })
}

function missing(trainer: string, name: string): never {
  const hints: Record<string, string> = {
    resolution:
      'the order names no "resolution" among its hyperparameters; order with one, or set "resolution" in the trainer file',
    model_variant: 'the order names no model variant and the trainer file lists no "models"',
  }
  const own = name.startsWith('hyperparameters.')
    ? 'the order names no such hyperparameter and the trainer file gives no default'
    : 'this command has no such value'
  const why = hints[name] ?? own
  throw new OrderNotPossibleError(`Trainer "${trainer}" uses {${name}}, but ${why}.`, { trainer, placeholder: name })
}
