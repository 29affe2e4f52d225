import { intersectionOverUnion } from '../../../images/index.js'
import type { BoxDetection } from '../../../loop/protocol/index.js'
import type { Project } from '../store/project.js'
import type { ImageRecord } from '../store/records.js'
import { type Scores, scores } from '../trainings/metrics.js'

type SetEvaluation = Scores & { images: number; tp: number; fp: number; fn: number }

export type Evaluation = SetEvaluation & {
  readonly model_version: string | null
  readonly iou: number
  readonly sets: { readonly test: SetEvaluation; readonly inbox: SetEvaluation }
  /** Of all images of the project: those in which this model version found something. */
  readonly images_with_detections: number
  readonly image_count: number
}

type Counts = { images: number; tp: number; fp: number; fn: number }

/**
 * Compares a model version's stored boxes with what was really drawn, in the test set and in the inbox: a box counts
 * when its category is right and its overlap with a box that nothing better has taken reaches `iou`.
 */
export function evaluate(project: Project, modelVersion: string | undefined, iou: number): Evaluation {
  const version = modelVersion ?? latestVersion(project)
  const drawn = [...project.images.values()].filter(({ truth }) => truth !== null)
  const inbox = countAll(
    project,
    version,
    iou,
    drawn.filter(({ state }) => state === 'inbox'),
  )
  const test = countAll(
    project,
    version,
    iou,
    drawn.filter(({ state, set }) => state === 'complete' && set === 'test'),
  )
  const found = [...project.detections.values()].filter((byVersion) => hasFinding(byVersion.get(version ?? '')))
  const sum = {
    images: test.images + inbox.images,
    tp: test.tp + inbox.tp,
    fp: test.fp + inbox.fp,
    fn: test.fn + inbox.fn,
  }
  return {
    model_version: version ?? null,
    iou,
    ...withScores(sum),
    sets: { test: withScores(test), inbox: withScores(inbox) },
    images_with_detections: found.length,
    image_count: project.images.size,
  }
}

function latestVersion(project: Project): string | undefined {
  return project.record.models.filter(({ formats }) => Object.keys(formats).length > 0).at(-1)?.version ?? undefined
}

function countAll(project: Project, version: string | undefined, iou: number, images: readonly ImageRecord[]): Counts {
  const sum = { images: images.length, tp: 0, fp: 0, fn: 0 }
  for (const image of images) {
    const found = project.detections.get(image.id)?.get(version ?? '')?.box_detections ?? []
    const tp = matches(found, image, iou)
    sum.tp += tp
    sum.fp += found.length - tp
    sum.fn += (image.truth?.boxes.length ?? 0) - tp
  }
  return sum
}

/** How many boxes are right; the surest choose first. */
function matches(found: readonly BoxDetection[], image: ImageRecord, iou: number): number {
  const open = new Set(image.truth?.boxes ?? [])
  let right = 0
  for (const box of [...found].sort((a, b) => b.confidence - a.confidence)) {
    const candidates = [...open].filter(({ category_name }) => category_name === box.category_name)
    const [best] = candidates.sort((a, b) => intersectionOverUnion(b, box) - intersectionOverUnion(a, box))
    if (best === undefined || intersectionOverUnion(best, box) < iou) continue
    open.delete(best)
    right += 1
  }
  return right
}

function withScores(counts: Counts): SetEvaluation {
  return { ...counts, ...scores(counts) }
}

function hasFinding(
  detections:
    | {
        box_detections: readonly unknown[]
        point_detections: readonly unknown[]
        segmentation_detections: readonly unknown[]
        classification_detections: readonly unknown[]
      }
    | undefined,
): boolean {
  if (detections === undefined) return false
  const { box_detections, point_detections, segmentation_detections, classification_detections } = detections
  return [box_detections, point_detections, segmentation_detections, classification_detections].some(
    ({ length }) => length > 0,
  )
}
