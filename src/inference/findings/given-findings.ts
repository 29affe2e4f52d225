import { z } from 'zod'
import type { ImageSize } from '../../images/index.js'
import { checkConfidence, outputError } from './external-output.js'
import {
  addBox,
  clip,
  emptyFindings,
  type Findings,
  type FindingsOptions,
  type InferenceCategory,
  named,
} from './findings.js'

const found = {
  category_id: z.string().nullish(),
  category_name: z.string().nullish().describe('Instead of the id.'),
  confidence: z.number().describe('0…1'),
}
const point = z.object({ x: z.number(), y: z.number() })

/** The findings of one image as a program or a module gives them; categories by id or name. */
export const givenFindingsSchema = z.object({
  box_detections: z
    .array(z.object({ ...found, x: z.number(), y: z.number(), width: z.number(), height: z.number() }))
    .default([]),
  point_detections: z.array(point.extend(found)).default([]),
  segmentation_detections: z.array(z.object({ ...found, shape: z.object({ points: z.array(point) }) })).default([]),
  classification_detections: z.array(z.object(found)).default([]),
})
export type GivenFindings = z.infer<typeof givenFindingsSchema>

export type Place = {
  /** Boxes and points are cut at it; without a size, only at zero. */
  readonly size: ImageSize | undefined
  readonly where: string
  readonly options: FindingsOptions
}

/** Checks what a program or a module gave for one image; throws LF_DETECT_OUTPUT naming the key. */
export function parseGiven(given: unknown, place: Place): Findings {
  const parsed = givenFindingsSchema.safeParse(given)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]
    throw outputError(`${place.where}: ${issue?.path.join('.')}: ${issue?.message}`)
  }
  const findings = emptyFindings()
  addGiven(findings, parsed.data, place)
  return findings
}

const ENDLESS: ImageSize = { width: Number.POSITIVE_INFINITY, height: Number.POSITIVE_INFINITY }

/** Adds the findings of one image in whole pixels within it; throws LF_DETECT_OUTPUT for an unknown category. */
export function addGiven(findings: Findings, entry: GivenFindings, { size = ENDLESS, where, options }: Place): void {
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
