/** What may stand in braces in a command of a trainer or converter file, and what it becomes. */
export const placeholderMeanings = {
  workspace: 'folder the program is started in',
  trainer: 'folder of the trainer file',
  dataset: 'folder of the exported dataset',
  model_variant: 'name of the pretrained model that was ordered',
  converter: 'folder of the converter file',
  model: "folder of the model's files",
  images: 'folder with the images to detect on',
  output: 'folder the command writes its result to',
  resolution: 'image size in pixels, as ordered or as the model has it',
  source_format: 'format of the model that is converted',
  target_format: 'format that is made',
} as const
export type Placeholder = keyof typeof placeholderMeanings
/** `{hyperparameters.epochs}`: a value of the order, declared under `hyperparameters` in the trainer file. */
export type HyperparameterPlaceholder = `hyperparameters.${string}`
export type PlaceholderValues = Partial<Readonly<Record<Placeholder | HyperparameterPlaceholder, string>>>

const PREFIX = 'hyperparameters.'
const NAME = '[a-z_]+|hyperparameters\\.[A-Za-z_][A-Za-z0-9_]*'
// `{name}` is a placeholder, `{{name}}` is the text `{name}`; every other brace (JSON, regular expressions) is left alone.
const PLACEHOLDER = new RegExp(`\\{\\{(${NAME})\\}\\}|\\{(${NAME})\\}`, 'g')

/** The names in braces in one argument, known or not. */
export function placeholdersIn(argument: string): string[] {
  return [...argument.matchAll(PLACEHOLDER)].flatMap((match) => match[2] ?? [])
}

export function isPlaceholder(name: string): name is Placeholder {
  return Object.hasOwn(placeholderMeanings, name)
}

/** Whether the placeholder is `hyperparameters.<name>`. */
export function isHyperparameter(name: string): name is HyperparameterPlaceholder {
  return name.startsWith(PREFIX)
}

/** The hyperparameter behind `hyperparameters.<name>`. */
export function hyperparameterOf(placeholder: HyperparameterPlaceholder): string {
  return placeholder.slice(PREFIX.length)
}

/** Fills one argument in a single pass, so that a value with braces in it stays what it is. */
export function fillPlaceholders(
  argument: string,
  values: PlaceholderValues,
  onMissing: (name: string) => never,
): string {
  return argument.replace(PLACEHOLDER, (_match, escaped: string | undefined, name: string | undefined) => {
    if (escaped !== undefined) return `{${escaped}}`
    if (name === undefined || !(isPlaceholder(name) || isHyperparameter(name))) return onMissing(String(name))
    return values[name] ?? onMissing(name)
  })
}
