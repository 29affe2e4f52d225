import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import { messageOf, parsePythonJson } from '../../base/index.js'
import { InferenceError } from '../basics/index.js'

const inputSchema = z.strictObject({ width: z.int().min(1).max(8192), height: z.int().min(1).max(8192) })
const share = z.number().min(0).max(1)
const GRID_THRESHOLD = 0.3
const THRESHOLD = 0.2
const NMS_IOU = 0.45
const pointCategories = z
  .array(z.string())
  .optional()
  .describe('Names or ids of categories whose boxes stand for points, beside those of type "point".')

const gridSchema = z.strictObject({
  layout: z.literal('grid'),
  input: inputSchema,
  stride: z.int().min(1),
  threshold: share.optional(),
  nms_iou: share.default(0.5),
  point_categories: pointCategories,
})

const yoloSchema = z.strictObject({
  layout: z.enum(['yolov5', 'yolov8', 'end-to-end']),
  input: inputSchema.optional(),
  threshold: share.optional(),
  nms_iou: share.default(NMS_IOU),
  point_categories: pointCategories,
})

const classificationSchema = z.strictObject({
  layout: z.literal('classification'),
  input: inputSchema.optional(),
  threshold: share.optional(),
  activation: z
    .enum(['softmax', 'none'])
    .optional()
    .describe('By default scores that do not sum to one get a softmax.'),
})

/** decoder.json beside an ONNX model: how its input is prepared and its output is read. */
const decoderFileSchema = z
  .discriminatedUnion('layout', [gridSchema, yoloSchema, classificationSchema])
  .refine(({ layout, ...rest }) => layout !== 'grid' || !('stride' in rest) || dividesInput(rest), {
    message: 'input width and height must be multiples of stride',
  })
export type DecoderFile = z.infer<typeof decoderFileSchema>

/** How a model is read: a decoder.json, or what stands for it, with the confidence below which nothing counts. */
export type DecoderPlan = DecoderFile & { readonly threshold: number }

/** The threshold of a layout for which nobody names one. */
export function usualThreshold(layout: DecoderFile['layout'] | undefined): number {
  return layout === 'grid' ? GRID_THRESHOLD : THRESHOLD
}

/** The plan for a layout; what decoder.json says beside the layout counts as far as it means something to this one. */
export function toPlan(layout: DecoderFile['layout'], file: DecoderFile | undefined, threshold: number): DecoderPlan {
  if (file?.layout === layout) return { ...file, threshold }
  const { input, point_categories } = { input: undefined, point_categories: undefined, ...file }
  const shared = { threshold, ...(input !== undefined && { input }) }
  if (layout === 'classification') return { ...shared, layout }
  if (layout === 'grid') throw new Error('a grid without its decoder.json')
  const nms_iou = file !== undefined && 'nms_iou' in file ? file.nms_iou : NMS_IOU
  return { ...shared, layout, nms_iou, ...(point_categories !== undefined && { point_categories }) }
}

function dividesInput(grid: { input?: { width: number; height: number }; stride: number }): boolean {
  return grid.input === undefined || (grid.input.width % grid.stride === 0 && grid.input.height % grid.stride === 0)
}

/** Reads and checks a decoder.json; throws LF_DECODER_INVALID naming file and key. */
export async function readDecoderFile(path: string): Promise<DecoderFile> {
  const parsed = decoderFileSchema.safeParse(await readJson(path))
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]
  const where = issue === undefined || issue.path.length === 0 ? '' : `${issue.path.join('.')}: `
  throw new InferenceError('LF_DECODER_INVALID', `${path}: ${where}${issue?.message}.`, { details: { path } })
}

async function readJson(path: string): Promise<unknown> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new InferenceError('LF_DECODER_INVALID', `${path} cannot be read: ${messageOf(cause)}.`, { cause })
  })
  try {
    return parsePythonJson(text)
  } catch (cause) {
    throw new InferenceError('LF_DECODER_INVALID', `${path} is not JSON: ${messageOf(cause)}.`, { cause })
  }
}
