import { z } from 'zod'
import { type Box, intersectionOverUnion } from '../../images/index.js'
import type { Findings } from '../../inference/index.js'
import { dialects } from '../../loop/protocol/index.js'
import { createHistory, type History } from './history.js'

const relevanceOptionsSchema = z
  .strictObject({
    minUncertain: z.number().min(0).max(1).default(0.3).describe('Confidence from which on a finding is uncertain.'),
    maxUncertain: z.number().min(0).max(1).default(0.6).describe('Confidence up to which it is.'),
    forgetSeconds: z.number().min(0).default(3600).describe('An object unseen for so long is new again.'),
    maxCameras: z.int().min(1).default(1000).describe('The camera unused for longest is forgotten past this count.'),
    maxObjects: z.int().min(1).default(2000).describe('The same for objects of one category before one camera.'),
    dialect: z.enum(dialects).default('current'),
  })
  .refine(({ minUncertain, maxUncertain }) => minUncertain <= maxUncertain, {
    message: 'the lower end of the uncertain range lies above its upper end',
    path: ['minUncertain'],
  })
export type RelevanceOptions = z.input<typeof relevanceOptionsSchema>

/** A warning if the threshold of a model hides findings in the uncertain range of the filter; undefined otherwise. */
export function thresholdWarning(
  threshold: number | undefined,
  { minUncertain, maxUncertain }: { readonly minUncertain: number; readonly maxUncertain: number },
): string | undefined {
  if (threshold === undefined || threshold <= minUncertain) return undefined
  const range = `${minUncertain} to ${maxUncertain}`
  const what =
    threshold > maxUncertain
      ? `so no image is ever uncertain (${range})`
      : `so of the uncertain range ${range} only the part above it counts`
  return (
    `The threshold ${threshold} hides what the relevance filter looks for: nothing below it is answered, ${what}. ` +
    'Lower it by --conf-threshold, or raise MIN_UNCERTAIN_THRESHOLD.'
  )
}

/** Decides which images are sent to the Loop. */
export type RelevanceFilter = {
  /** The causes to upload this image, each once; empty if there is none. */
  causes(findings: Readonly<Findings>, cameraId: string | null): string[]
}

type Named = { readonly confidence: number }

const SIMILAR_IOU = 0.5
const SIMILAR_DISTANCE_PX = 10
const MANY_DETECTIONS = 80

type Camera = { readonly boxes: History<Box>; readonly points: History<Point>; usedAtMs: number }

/** The rules of active learning of the Loop; `now` is in milliseconds, of a monotonic clock. */
export function createRelevanceFilter(
  options: RelevanceOptions,
  deps: { readonly now: () => number },
): RelevanceFilter {
  const settings = relevanceOptionsSchema.parse(options)
  const forgetMs = settings.forgetSeconds * 1000
  // Sorted by last use, oldest first. Cameras without a name share one history.
  const cameras = new Map<string | null, Camera>()

  function use(cameraId: string | null, atMs: number): Camera {
    const camera = cameras.get(cameraId) ?? newCamera()
    camera.usedAtMs = atMs
    cameras.delete(cameraId)
    cameras.set(cameraId, camera)
    for (const [id, { usedAtMs }] of cameras) {
      if (cameras.size <= settings.maxCameras && atMs - usedAtMs <= forgetMs) break
      cameras.delete(id)
    }
    return camera
  }

  function newCamera(): Camera {
    const common = { forgetMs, maxObjects: settings.maxObjects }
    const isSimilarBox = (a: Box, b: Box) => intersectionOverUnion(a, b) >= SIMILAR_IOU
    const isSimilarPoint = (a: Point, b: Point) => distance(a, b) < SIMILAR_DISTANCE_PX
    return {
      boxes: createHistory({ ...common, isSimilar: isSimilarBox }),
      points: createHistory({ ...common, isSimilar: isSimilarPoint }),
      usedAtMs: 0,
    }
  }

  const isUncertain = ({ confidence }: Named) =>
    settings.minUncertain <= confidence && confidence <= settings.maxUncertain

  return {
    causes(findings, cameraId) {
      const atMs = deps.now()
      const { boxes, points } = use(cameraId, atMs)
      const causes = new Set<string>()
      for (const box of findings.box_detections) {
        if (!boxes.see(box.category_name, toBox(box), atMs) && isUncertain(box)) causes.add('uncertain')
      }
      for (const point of findings.point_detections) {
        if (!points.see(point.category_name, { x: point.x, y: point.y }, atMs) && isUncertain(point))
          causes.add('uncertain')
      }
      if (findings.segmentation_detections.length > 0) causes.add('segmentation_detection')
      for (const found of findings.classification_detections) {
        if (settings.dialect === '0.8') causes.add('classification_detection')
        else if (isUncertain(found)) causes.add('uncertain')
      }
      if (countOf(findings) >= MANY_DETECTIONS) causes.add('unexpected_observations_count')
      return [...causes]
    },
  }
}

function toBox({ x, y, width, height }: Box): Box {
  return { x, y, width, height }
}

function countOf(findings: Readonly<Findings>): number {
  return (
    findings.box_detections.length +
    findings.point_detections.length +
    findings.segmentation_detections.length +
    findings.classification_detections.length
  )
}

type Point = { readonly x: number; readonly y: number }

/** Straight distance in pixels. */
function distance(a: Point, b: Point): number {
  return Math.hypot(a.x - b.x, a.y - b.y)
}
