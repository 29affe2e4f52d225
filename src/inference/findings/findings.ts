import type { Box } from '../decoders/boxes.js'
import type { Decoded } from '../decoders/model-output.js'
import type { Placement } from '../image/placement.js'

/** What inference needs to know of a category of the Loop. */
export type InferenceCategory = { readonly id: string; readonly name: string; readonly type?: string | null }

type Named = { category_name: string; category_id: string; confidence: number }
type FoundBox = Named & { x: number; y: number; width: number; height: number }
type FoundPoint = Named & { x: number; y: number }
type FoundSegmentation = Named & { shape: { points: { x: number; y: number }[] } }
type FoundClass = Named

/** The detections of one image in the Loop's spelling, without the model's name, which the caller knows. */
export type Findings = {
  box_detections: FoundBox[]
  point_detections: FoundPoint[]
  segmentation_detections: FoundSegmentation[]
  classification_detections: FoundClass[]
}

export type FindingsOptions = {
  readonly categories: readonly InferenceCategory[]
  /** Names or ids of categories that are points although their type does not say so. */
  readonly pointCategories?: readonly string[]
  /** `percent` multiplies confidences by 100, as the public yolov5 trainer does. */
  readonly confidence?: 'unit' | 'percent'
}

export function emptyFindings(): Findings {
  return { box_detections: [], point_detections: [], segmentation_detections: [], classification_detections: [] }
}

/**
 * Brings what a decoder found to pixels of the image as it is seen; boxes are whole pixels within it, points keep
 * hundredths, and what is at most 2 pixels wide or high is dropped.
 */
export function toFindings(decoded: Decoded, place: Placement, options: FindingsOptions): Findings {
  const findings = emptyFindings()
  if (decoded.kind === 'classes') {
    for (const { categoryIndex, confidence } of decoded.scores) {
      const category = options.categories[categoryIndex]
      if (category !== undefined) findings.classification_detections.push(named(category, confidence, options))
    }
    return findings
  }
  for (const { box, confidence, categoryIndex, outline } of decoded.candidates) {
    const category = options.categories[categoryIndex]
    if (category === undefined) continue
    if (isTiny(box, place)) continue
    const name = named(category, confidence, options)
    if (outline !== undefined && isShape(category, options)) {
      addShape(findings, outline, place, name)
      continue
    }
    const left = clip((box.left - place.offsetX) / place.scaleX, place.imageWidth)
    const right = clip((box.right - place.offsetX) / place.scaleX, place.imageWidth)
    const top = clip((box.top - place.offsetY) / place.scaleY, place.imageHeight)
    const bottom = clip((box.bottom - place.offsetY) / place.scaleY, place.imageHeight)
    addBox(findings, { left, top, right, bottom }, name, options)
  }
  return findings
}

/** Boxes of at most this many pixels of the image on one edge are noise, as in the Python library's detectors. */
const MAX_TINY_EDGE = 2

function isTiny(box: Box, { scaleX, scaleY }: Placement): boolean {
  const shorter = Math.min((box.right - box.left) / scaleX, (box.bottom - box.top) / scaleY)
  return shorter <= MAX_TINY_EDGE
}

// What a mask model finds is a shape, unless its category asks for a box or a point.
function isShape({ id, name, type }: InferenceCategory, { pointCategories = [] }: FindingsOptions): boolean {
  return type !== 'box' && type !== 'point' && !pointCategories.includes(id) && !pointCategories.includes(name)
}

type Corner = { readonly x: number; readonly y: number }

/** Adds an outline in whole pixels of the image; fewer than three different corners are nothing. */
function addShape(findings: Findings, outline: readonly Corner[], place: Placement, name: Named): void {
  const points: { x: number; y: number }[] = []
  for (const corner of outline) {
    const x = Math.round(clip((corner.x - place.offsetX) / place.scaleX, place.imageWidth))
    const y = Math.round(clip((corner.y - place.offsetY) / place.scaleY, place.imageHeight))
    const last = points.at(-1)
    if (last?.x !== x || last.y !== y) points.push({ x, y })
  }
  const [first] = points
  const last = points.at(-1)
  if (points.length > 1 && first?.x === last?.x && first?.y === last?.y) points.pop()
  if (points.length >= 3) findings.segmentation_detections.push({ ...name, shape: { points } })
}

type Edges = { readonly left: number; readonly top: number; readonly right: number; readonly bottom: number }

/** Adds a box in image pixels, or its centre if its category is a point; a box below half a pixel is nothing. */
export function addBox(findings: Findings, edges: Edges, name: Named, options: FindingsOptions): void {
  if (isPoint(name, options)) {
    const x = hundredths((edges.left + edges.right) / 2)
    const y = hundredths((edges.top + edges.bottom) / 2)
    findings.point_detections.push({ ...name, x, y })
    return
  }
  const x = Math.round(edges.left)
  const y = Math.round(edges.top)
  const width = Math.round(edges.right) - x
  const height = Math.round(edges.bottom) - y
  if (width > 0 && height > 0) findings.box_detections.push({ ...name, x, y, width, height })
}

/** A category with a confidence of 0…1 in the wanted scale. */
export function named(category: InferenceCategory, confidence: number, options: FindingsOptions): Named {
  const scaled = options.confidence === 'percent' ? confidence * 100 : confidence
  return { category_name: category.name, category_id: category.id, confidence: scaled }
}

function isPoint({ category_id: id, category_name: name }: Named, options: FindingsOptions): boolean {
  if (options.pointCategories?.includes(id) || options.pointCategories?.includes(name)) return true
  return options.categories.some((category) => category.id === id && category.type === 'point')
}

export function clip(value: number, size: number): number {
  return Math.min(size, Math.max(0, value))
}

function hundredths(value: number): number {
  return Math.round(value * 100) / 100
}
