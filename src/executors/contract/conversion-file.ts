import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { categorySchema } from '../../loop/protocol/index.js'

/** What `conversion.json` holds: everything a conversion program must know, in the wire's spelling. */
export const conversionFileSchema = z.object({
  /** Of this file's shape. */
  version: z.literal(1),
  converter: z.string(),
  source_format: z.string(),
  target_format: z.string(),
  /** Below the workspace. */
  model_folder: z.string(),
  output_folder: z.string(),
  model: z.object({
    /** REST base address of the Loop. */
    host: z.string(),
    organization: z.string(),
    project: z.string(),
    id: z.string(),
    version: z.string(),
    /** Of the project, as it is now; those of the model are in `model_json`. */
    categories: z.array(categorySchema),
    /** Edge of the square that the model sees, in pixels, if its model.json says so. */
    resolution: z.int().nullable(),
    /** The model.json of the downloaded model. */
    model_json: z.record(z.string(), z.unknown()),
  }),
})
export type ConversionFile = z.infer<typeof conversionFileSchema>

export const CONVERSION_FILE = 'conversion.json'
export const MODEL_FOLDER = 'model'
export const OUTPUT_FOLDER = 'output'

/** Writes `conversion.json` into the workspace, which no later take relies on: it need not survive the machine. */
export async function writeConversionFile(workspace: string, content: ConversionFile): Promise<void> {
  await mkdir(workspace, { recursive: true })
  await writeFile(join(workspace, CONVERSION_FILE), `${JSON.stringify(content, null, 2)}\n`)
}
