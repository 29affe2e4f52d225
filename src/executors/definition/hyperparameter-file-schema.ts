import { z } from 'zod'
import { isInnerPath } from '../contract/index.js'

const OURS = ['training.json', 'events.jsonl', 'last_training.log']
const OUR_FOLDERS = ['dataset', 'base_model', 'best', '.set-aside']

const valueSchema = z.union([z.number(), z.boolean(), z.string()], {
  error: 'must be a number, true/false or a text',
})

/** A YAML file of defaults that is written into the workspace with the order's values for the keys it knows. */
export const hyperparameterFileSchema = z.strictObject({
  defaults: z.string().min(1).describe('YAML file with the defaults, relative to the trainer file.'),
  file: z
    .string()
    .refine(isInnerPath, { error: 'must be a path inside the workspace, relative and without ..' })
    .refine(isFree, { error: 'must not be one of the files and folders that loopfleet writes itself' })
    .describe('Where it is written in the workspace.'),
  set: z
    .array(
      z.strictObject({
        if: z.string().min(1),
        // biome-ignore lint/suspicious/noThenProperty: the key of the trainer file, never awaited
        then: z.record(z.string().min(1), valueSchema),
      }),
    )
    .default([])
    .describe('More values, when a hyperparameter is true or given.'),
})

function isFree(path: string): boolean {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.')
  const [first = ''] = parts
  return !(OUR_FOLDERS.includes(first) || (parts.length === 1 && (OURS.includes(first) || first.startsWith('.'))))
}
