import { z } from 'zod'
import { messageOf } from '../base/errors.js'
import { checkConfidence, type ExternalImage, outputError, sizeOf } from './external-output.js'
import { addBox, clip, type Findings, type FindingsOptions, type InferenceCategory, named } from './findings.js'
import type { ImageSize } from './image-size.js'

const found = {
  category_id: z.string().nullish(),
  category_name: z.string().nullish().describe('Instead of the id.'),
  confidence: z.number().describe('0…1'),
}
const point = z.object({ x: z.number(), y: z.number() })

const entrySchema = z.object({
  image_id: z.string(),
  box_detections: z
    .array(z.object({ ...found, x: z.number(), y: z.number(), width: z.number(), height: z.number() }))
    .default([]),
  point_detections: z.array(point.extend(found)).default([]),
  segmentation_detections: z.array(z.object({ ...found, shape: z.object({ points: z.array(point) }) })).default([]),
  classification_detections: z.array(z.object(found)).default([]),
})
type Entry = z.infer<typeof entrySchema>

/** `detections.json` of a detect command: one entry per image; images without a finding may be left out. */
export const detectionsFileSchema = z.array(entrySchema)

export type DetectionsFileTarget = {
  readonly images: ReadonlyMap<string, ExternalImage>
  readonly findings: ReadonlyMap<string, Findings>
  readonly options: FindingsOptions
}

/** Adds the entries of the file to the findings of their images; throws LF_DETECT_OUTPUT naming entry and key. */
export async function addDetectionsFile(path: string, text: string, target: DetectionsFileTarget): Promise<void> {
  const entries = parseEntries(path, text)
  for (const [index, entry] of entries.entries()) {
    const where = `${path}: ${index}`
    const image = target.images.get(entry.image_id)
    const findings = target.findings.get(entry.image_id)
    if (image === undefined || findings === undefined) {
      throw outputError(`${where}.image_id "${entry.image_id}" is none of the images`)
    }
    addEntry(findings, entry, { size: await sizeOf(image), where, options: target.options })
  }
}

function parseEntries(path: string, text: string): Entry[] {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (cause) {
    throw outputError(`${path} is not JSON (${messageOf(cause)}); NaN and Infinity are not allowed in it`)
  }
  const parsed = detectionsFileSchema.safeParse(json)
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]
  throw outputError(`${path}: ${issue?.path.join('.')}: ${issue?.message}`)
}

type Place = { readonly size: ImageSize; readonly where: string; readonly options: FindingsOptions }

function addEntry(findings: Findings, entry: Entry, { size, where, options }: Place): void {
  const nameOf = (item: Found) => {
    const category = findCategory(item, options.categories, where)
    return named(category, checkConfidence(item.confidence, where) ?? 0, options)
  }
  for (const box of entry.box_detections) {
    const edges = {
      left: clip(box.x, size.width),
      right: clip(box.x + box.width, size.width),
      top: clip(box.y, size.height),
      bottom: clip(box.y + box.height, size.height),
    }
    addBox(findings, edges, nameOf(box), options)
  }
  for (const item of entry.point_detections) {
    const position = { x: clip(item.x, size.width), y: clip(item.y, size.height) }
    findings.point_detections.push({ ...nameOf(item), ...position })
  }
  for (const item of entry.segmentation_detections) {
    const points = item.shape.points.map(({ x, y }) => ({ x: Math.round(x), y: Math.round(y) }))
    findings.segmentation_detections.push({ ...nameOf(item), shape: { points } })
  }
  for (const item of entry.classification_detections) findings.classification_detections.push(nameOf(item))
}

type Found = { category_id?: string | null; category_name?: string | null; confidence: number }

function findCategory(item: Found, categories: readonly InferenceCategory[], where: string): InferenceCategory {
  const { category_id: id, category_name: name } = item
  const category = categories.find((one) => (id === null || id === undefined ? one.name === name : one.id === id))
  if (category !== undefined) return category
  throw outputError(`${where}: category "${id ?? name}" is none of the ${categories.length} categories`)
}
