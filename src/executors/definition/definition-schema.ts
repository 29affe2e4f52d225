import { dirname } from 'node:path'
import { z } from 'zod'
import { isInnerPath } from '../contract/index.js'
import { type DatasetFormat, datasetFormats } from '../dataset/index.js'
import { commandSchema } from './command-schema.js'
import { hyperparameterFileSchema } from './hyperparameter-file-schema.js'
import { hyperparametersSchema } from './hyperparameter-schema.js'
import type { Placeholder } from './placeholders.js'

const NAME = /^[a-z0-9][a-z0-9_-]{0,62}$/i
/** A name that can stand in a queue, a file and a path of the Loop. */
export const nameSchema = z
  .string()
  .regex(NAME, { error: 'must start with a letter or digit and hold only letters, digits, _ and -' })
const fileNameSchema = z.string().refine(isPlainFileName, { error: 'must be a plain file name without a folder' })
export const innerPathSchema = z
  .string()
  .refine(isInnerPath, { error: 'must be a path inside the workspace, relative and without ..' })
/** Names of the files that go to the Loop in one format. */
const uploadedFilesSchema = z
  .array(
    fileNameSchema
      .refine((name) => name !== 'model.json', { error: 'must not be model.json, which is made by loopfleet' })
      // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
      .refine((name) => !/["\u0000-\u001f\u007f]/.test(name), {
        error: 'must have no quotes and no control characters, which cannot be sent',
      }),
  )
  .min(1)
  .refine((names) => new Set(names).size === names.length, { error: 'must not name a file twice' })
const confidenceSchema = z.enum(['unit', 'percent'], { error: 'must be unit (0 to 1) or percent (0 to 100)' })

/** A number never falls back to the CPU; `auto` does, where the host has no GPU. */
export const gpusSchema = z.union([z.literal('auto'), z.int().min(0).max(64)], {
  error: 'must be a number from 0 to 64, or auto (a GPU where the host has one, else the CPU)',
})

const formatNames = Object.keys(datasetFormats) as readonly DatasetFormat[]

const SCRATCH_BELOW = 0.1
const TRAINING: readonly Placeholder[] = ['workspace', 'trainer', 'dataset', 'model_variant', 'resolution']
const CONVERTING: readonly Placeholder[] = [...TRAINING, 'model', 'output']
const DETECTING: readonly Placeholder[] = ['workspace', 'trainer', 'model', 'images', 'output', 'resolution']

const trainSchema = z.strictObject({
  scratch: commandSchema(TRAINING).describe('Started when no model of the Loop is continued.'),
  continue: commandSchema(TRAINING)
    .optional()
    .describe('Started when the order names a model of the Loop to continue.'),
  resume: commandSchema(TRAINING).optional().describe('Started to go on after an interruption.'),
  resume_when: innerPathSchema.optional().describe('File whose existence says that the training can be resumed.'),
  resume_check: commandSchema(TRAINING)
    .optional()
    .describe(
      'Asked before a resume: exit code 0 resumes, 10 says that the training is finished, 11 that the checkpoint is unusable.',
    ),
})

const progressSchema = z.union(
  [
    z.literal('events'),
    z.strictObject({
      log: regexSchema(['epoch', 'epochs', 'progress', 'percent']).optional(),
      csv: innerPathSchema.optional(),
      epochs: z.union([z.int().min(1), z.string().min(1)]).optional(),
      first_epoch: z
        .int()
        .min(0)
        .optional()
        .describe('Number of the first epoch in the table, if it begins neither with 0 nor with 1.'),
    }),
  ],
  { error: 'must be events, {log: EXPRESSION} or {csv: FILE}' },
)

const bestSchema = z.union(
  [
    z.literal('events'),
    z
      .strictObject({
        files: innerPathSchema.refine(hasStarInNameOnly, { error: 'may have * only in its last part' }),
        metrics: innerPathSchema.optional(),
        as: fileNameSchema.optional(),
        with: z.array(innerPathSchema).optional(),
        publish: innerPathSchema
          .optional()
          .describe('Where the file is moved once its model is set aside; older ones are deleted.'),
      })
      .refine((best) => best.publish === undefined || dirname(best.publish) !== dirname(best.files), {
        path: ['publish'],
        error: 'must be in another folder than the files it is taken from',
      }),
  ],
  { error: 'must be events or {files: PATTERN, metrics: FILE}' },
)

const thresholdSchema = z
  .number()
  .min(0)
  .max(1)
  .optional()
  .describe('Detections below this confidence of 0 to 1 do not count; an order may name another one.')

const detectSchema = z.union(
  [
    z.strictObject({
      backend: z.literal('onnx', { error: 'must be onnx' }),
      format: nameSchema.default('onnx'),
      confidence: confidenceSchema.default('unit'),
      conf_threshold: thresholdSchema,
    }),
    z.strictObject({
      command: commandSchema(DETECTING),
      format: nameSchema.optional(),
      confidence: confidenceSchema.default('unit'),
      conf_threshold: thresholdSchema,
    }),
  ],
  { error: 'must be {backend: onnx} or {command: [PROGRAM, …]}' },
)

/** A trainer's YAML file as design and docs/reference/trainer-contract.md describe it; unknown keys are refused. */
export const trainerDefinitionSchema = z.strictObject({
  name: nameSchema.describe('Name of the trainer; its queue is called trainings.<name>.'),
  format: nameSchema.describe('Key under which the Loop stores the model.'),
  architecture: z.string().min(1).optional(),
  models: z
    .array(
      z.strictObject({ name: z.string().min(1), label: z.string().default(''), description: z.string().default('') }),
    )
    .default([])
    .describe('The provided pretrained models.'),
  dataset: z.enum(formatNames, { error: `must be ${formatNames.join(', ')}` }),
  python: pythonSchema(),
  train: trainSchema,
  checkpoint: z
    .array(innerPathSchema)
    .min(1)
    .optional()
    .describe('What a resume on another host needs; the folder of train.resume_when without it.'),
  resume: z
    .strictObject({ scratch_below: z.number().min(0).max(1).default(SCRATCH_BELOW) })
    .default({ scratch_below: SCRATCH_BELOW })
    .describe('Up to which progress (0 to 1) a training may begin again from scratch if nothing can be resumed.'),
  hyperparameters: hyperparametersSchema
    .default({})
    .describe('The hyperparameters that commands use, with type and default.'),
  hyperparameter_file: hyperparameterFileSchema
    .optional()
    .describe("A YAML file that is written for the script, with the order's values."),
  progress: progressSchema.default('events'),
  best: bestSchema.default('events'),
  convert: z.array(z.strictObject({ format: nameSchema, command: commandSchema(CONVERTING) })).default([]),
  upload: z.record(nameSchema, uploadedFilesSchema).describe('The files of every format that goes to the Loop.'),
  detect: detectSchema.optional(),
  preflight: preflightSchema('trainer'),
  cleanup: commandSchema(TRAINING)
    .optional()
    .describe('Run when the training is over, before its workspace is cleared.'),
  errors: knownErrorsSchema().describe('Log lines that say why a training failed.'),
  sign_of_life_minutes: z
    .number()
    .positive()
    .max(10_000)
    .optional()
    .describe('A training program that says nothing for so long is ended and counts as failed.'),
  gpus: gpusSchema.default('auto').describe('GPUs that are lent to each training.'),
  resolution: z.int().min(1).optional().describe('Image size when the order names none.'),
  env: envSchema(),
})

export type TrainerFile = z.output<typeof trainerDefinitionSchema>
/** An argument list as it is started. */
export type Command = readonly [string, ...string[]]

function regexSchema(groups: readonly string[]) {
  return z
    .string()
    .min(1)
    .superRefine((source, context) => {
      const problem = regexProblem(source, groups)
      if (problem !== undefined) context.addIssue({ code: 'custom', message: problem })
    })
}

function regexProblem(source: string, groups: readonly string[]): string | undefined {
  try {
    new RegExp(source)
  } catch (error) {
    return `is not a regular expression (${error instanceof Error ? error.message : String(error)})`
  }
  if (groups.length === 0 || groups.some((group) => source.includes(`(?<${group}>`))) return undefined
  return `must have one of the named groups ${groups.map((group) => `(?<${group}>…)`).join(', ')}`
}

/** Log lines that say why a program failed. */
export function knownErrorsSchema() {
  return z.array(z.strictObject({ log: regexSchema([]), cause: z.string().min(1) })).default([])
}

export function pythonSchema() {
  return z
    .string()
    .min(1)
    .default('python3')
    .describe('Interpreter behind the word python; a path is relative to this file.')
}

export function envSchema() {
  return z.record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/), envValueSchema()).default({})
}

/** Which command says that this host can begin work of the file. */
export function preflightSchema(kind: 'trainer' | 'converter') {
  return commandSchema(['workspace', kind], { conditions: ['gpus'], hasHyperparameters: false })
    .optional()
    .describe('Exit code 0 says that work can begin on this host.')
}

function envValueSchema() {
  return z
    .union([z.string(), z.number(), z.boolean()], { error: 'must be a text, a number or true/false' })
    .transform(String)
}

function isPlainFileName(name: string): boolean {
  return isInnerPath(name) && !name.includes('/') && name !== '.' && name.length <= 200
}

function hasStarInNameOnly(pattern: string): boolean {
  return !pattern.slice(0, pattern.lastIndexOf('/') + 1).includes('*')
}
