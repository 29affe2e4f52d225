import { readFile } from 'node:fs/promises'
import { basename, dirname, resolve } from 'node:path'
import { LineCounter, parseDocument } from 'yaml'
import type { z } from 'zod'
import { messageOf } from '../base/errors.js'
import { hyperparametersUsed } from './command-schema.js'
import { type TrainerFile, trainerDefinitionSchema } from './definition-schema.js'
import { TrainerFileError } from './errors.js'
import { sentenceOfIssue } from './yaml-sentences.js'

export type { CommandTemplate } from './command-schema.js'
export { type Command, type DatasetFormat, type TrainerFile, trainerDefinitionSchema } from './definition-schema.js'

/** A trainer file with the absolute folder it lies in; scripts beside it are found there. */
export type TrainerDefinition = TrainerFile & { readonly folder: string; readonly file: string }

const MAX_FILE_BYTES = 1024 * 1024

/** Reads and checks a trainer's YAML file; throws `LF_BAD_TRAINER_FILE` with file, key, value and the way out. */
export async function loadTrainerDefinition(path: string): Promise<TrainerDefinition> {
  const file = resolve(path)
  const source = await readSource(file)
  return { ...parseTrainerDefinition(source, file), folder: dirname(file), file }
}

/** Parses the text of a trainer file; `file` stands in the error sentences. */
export function parseTrainerDefinition(source: string, file: string): TrainerFile {
  const value = parseYaml(source, file)
  return checkTrainerFile(value, file)
}

/** The content of a trainer file; throws `LF_BAD_TRAINER_FILE` for what does not fit, also across keys. */
export function checkTrainerFile(value: unknown, file: string): TrainerFile {
  const parsed = trainerDefinitionSchema.safeParse(value)
  if (!parsed.success) throw problem(parsed.error, value, file)
  checkFormats(parsed.data, file)
  checkHyperparameters(parsed.data, file)
  return parsed.data
}

async function readSource(file: string): Promise<string> {
  try {
    const bytes = await readFile(file)
    if (bytes.length <= MAX_FILE_BYTES) return bytes.toString('utf8')
  } catch (error) {
    throw new TrainerFileError(`Trainer file ${file} cannot be read: ${messageOf(error)}.`, { file }, error)
  }
  throw new TrainerFileError(`Trainer file ${file} is larger than 1 MiB; is it really a trainer's YAML file?`, { file })
}

function parseYaml(source: string, file: string): unknown {
  const document = parseDocument(source, { lineCounter: new LineCounter(), prettyErrors: true })
  const error = document.errors[0]
  if (error !== undefined) {
    const line = error.linePos?.[0].line ?? 1
    const shown = JSON.stringify(source.split('\n')[line - 1]?.trim().slice(0, 80))
    const text = error.message.split('\n')[0]?.replace(/ at line \d+, column \d+:?$/, '')
    throw new TrainerFileError(`${file}, line ${line} (${shown}): ${text}.`, { file }, error)
  }
  try {
    return document.toJS({ maxAliasCount: 100 })
  } catch (thrown) {
    throw new TrainerFileError(`${file} cannot be read as YAML: ${messageOf(thrown)}.`, { file }, thrown)
  }
}

function problem(error: z.ZodError, value: unknown, file: string): TrainerFileError {
  const [first, ...others] = error.issues.map((issue) => sentenceOfIssue(issue, value, trainerDefinitionSchema))
  const more = others.length === 0 ? '' : ` (and ${others.length} more)`
  return new TrainerFileError(`${basename(file)}: ${first?.sentence ?? error.message}${more} [${file}]`, {
    file,
    key: first?.key,
  })
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

/** Every hyperparameter that is used must be declared, since its type is what keeps free text out of commands. */
function checkHyperparameters(trainer: TrainerFile, file: string): void {
  const { scratch, continue: goOn, resume, resume_check: check } = trainer.train
  const commands = {
    'train.scratch': scratch,
    'train.continue': goOn,
    'train.resume': resume,
    'train.resume_check': check,
    cleanup: trainer.cleanup,
  }
  const detect = trainer.detect !== undefined && 'command' in trainer.detect ? trainer.detect.command : undefined
  const uses = [
    ...Object.entries({ ...commands, 'detect.command': detect }).map(([key, command]) => ({ key, command })),
    ...trainer.convert.map((step, index) => ({ key: `convert[${index}].command`, command: step.command })),
  ].flatMap(({ key, command }) =>
    (command === undefined ? [] : hyperparametersUsed(command)).map((name) => ({ key, name })),
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
