import { basename, dirname, extname, resolve } from 'node:path'
import { TrainerFileError } from '../contract/index.js'
import { type CommandTemplate, hyperparametersUsed } from './command-schema.js'
import { type TrainerFile, trainerDefinitionSchema } from './definition-schema.js'
import { misplacedScript } from './misplaced-script.js'
import { checkYamlValue, parseYaml, readYamlSource } from './yaml-file.js'

export type { TrainerFile } from './definition-schema.js'

/** A trainer file with the absolute folder it lies in; scripts beside it are found there. */
export type TrainerDefinition = TrainerFile & { readonly folder: string; readonly file: string }

const KIND = {
  name: 'trainer',
  schema: trainerDefinitionSchema,
  fail: (...args: ConstructorParameters<typeof TrainerFileError>) => new TrainerFileError(...args),
} as const

/** Reads and checks a trainer's YAML file; throws `LF_BAD_TRAINER_FILE` with file, key, value and the way out. */
export async function loadTrainerDefinition(path: string): Promise<TrainerDefinition> {
  const file = resolve(path)
  const source = await readYamlSource(file, KIND)
  const trainer = parseTrainerDefinition(source, file)
  const folder = dirname(file)
  for (const { key, command } of commandsOf(trainer)) {
    const problem = await misplacedScript(command, { folder, placeholder: 'trainer' })
    if (problem !== undefined)
      throw new TrainerFileError(`${basename(file)}: "${key}" ${problem}. [${file}]`, { file, key })
  }
  return { ...trainer, folder, file }
}

/**
 * Parses the text of a trainer file; errors name `file`.
 * @internal since tests have tables of texts, without a file for each.
 */
export function parseTrainerDefinition(source: string, file: string): TrainerFile {
  return checkTrainerFile(parseYaml(source, file, KIND), file)
}

/** The content of a trainer file; throws `LF_BAD_TRAINER_FILE` for what does not fit, also across keys. */
export function checkTrainerFile(value: unknown, file: string): TrainerFile {
  const trainer = checkYamlValue(value, file, KIND)
  checkFormats(trainer, file)
  checkBest(trainer, file)
  checkHyperparameters(trainer, file)
  return trainer
}

/** What hangs together across keys: every format that is made or used must be listed under `upload`. */
function checkFormats(trainer: TrainerFile, file: string): void {
  const formats = Object.keys(trainer.upload)
  const wanted = [
    { key: 'format', format: trainer.format },
    ...trainer.convert.map((step, index) => ({ key: `convert[${index}].format`, format: step.format })),
    ...(trainer.detect?.format === undefined ? [] : [{ key: 'detect.format', format: trainer.detect.format }]),
  ]
  for (const { key, format } of wanted) {
    if (formats.includes(format)) continue
    const text = `"${key}" is "${format}", but "upload" lists only ${formats.map((name) => `"${name}"`).join(', ') || 'nothing'}`
    throw new TrainerFileError(`${basename(file)}: ${text}; add the files of "${format}" there. [${file}]`, {
      file,
      key,
    })
  }
}

/**
 * The files that `best` sets aside, and whether `upload` asks for others. Only where that can be known: a conversion
 * may make any file, and what a model of these endings refers to is set aside with it under its own name.
 */
function checkBest({ best, upload, convert }: TrainerFile, file: string): void {
  if (best === 'events') return
  const model = best.as ?? `model${extname(best.files)}`
  const names = [model, ...(best.with ?? []).map((path) => basename(path))]
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) {
    const text = `"best" sets two files aside as "${twice}"; give the model another name by "best.as"`
    throw new TrainerFileError(`${basename(file)}: ${text}. [${file}]`, { file, key: 'best' })
  }
  if (convert.length > 0 || model.includes('*') || /\.(onnx|json)$/i.test(model)) return
  for (const [format, files] of Object.entries(upload)) {
    const wrong = files.find((name) => !names.includes(name))
    if (wrong === undefined) continue
    const text = `"upload.${format}" names "${wrong}", but "best" sets aside only ${names.map((name) => `"${name}"`).join(', ')}`
    const out = 'correct the name, name the file under "best.with", or set "best.as"'
    throw new TrainerFileError(`${basename(file)}: ${text}; ${out}. [${file}]`, { file, key: `upload.${format}` })
  }
}

/** Every hyperparameter that is used must be declared, since its type is what keeps free text out of commands. */
function checkHyperparameters(trainer: TrainerFile, file: string): void {
  const uses = commandsOf(trainer).flatMap(({ key, command }) =>
    hyperparametersUsed(command).map((name) => ({ key, name })),
  )
  const sets = (trainer.hyperparameter_file?.set ?? []).map((step, index) => ({
    key: `hyperparameter_file.set[${index}].if`,
    name: step.if,
  }))
  for (const { key, name } of [...uses, ...sets]) {
    if (Object.hasOwn(trainer.hyperparameters, name)) continue
    const text = `"${key}" uses the hyperparameter "${name}", which "hyperparameters" does not list`
    const out = `add it there with its type, such as ${name}: {type: number}`
    throw new TrainerFileError(`${basename(file)}: ${text}; ${out}. [${file}]`, { file, key })
  }
}

/** Every command of the file, with its key. */
function commandsOf(trainer: TrainerFile): readonly { readonly key: string; readonly command: CommandTemplate }[] {
  const { scratch, continue: goOn, resume, resume_check: check } = trainer.train
  const commands = {
    'train.scratch': scratch,
    'train.continue': goOn,
    'train.resume': resume,
    'train.resume_check': check,
    preflight: trainer.preflight,
    cleanup: trainer.cleanup,
    'detect.command': trainer.detect !== undefined && 'command' in trainer.detect ? trainer.detect.command : undefined,
  }
  return [
    ...Object.entries(commands).flatMap(([key, command]) => (command === undefined ? [] : [{ key, command }])),
    ...trainer.convert.map((step, index) => ({ key: `convert[${index}].command`, command: step.command })),
  ]
}
