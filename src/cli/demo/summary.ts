import type { AnnotationFacts } from './annotate-once.js'
import type { ConversionFacts } from './convert-once.js'
import type { DetectorFacts } from './detect-once.js'
import type { Evaluation, TrainingView } from './loop-views.js'

/** The demo's result, as `--json` prints it on the last line. */
export type DemoSummary = {
  readonly ok: boolean
  readonly state: string
  readonly train_image_count: number
  readonly test_image_count: number
  readonly f1: number | null
  readonly model: { readonly id: string; readonly version: string | null; readonly formats: readonly string[] } | null
  readonly images_with_detections: number
  readonly precision: number | null
  readonly recall: number | null
  readonly stages: Readonly<Record<string, number>>
  /** From the order of the training until its node was idle again. */
  readonly seconds: number
  /** Only with the example trainer, whose models the example converter understands. */
  readonly conversion: ConversionFacts | null
  readonly detector: DetectorFacts | null
  readonly annotation: AnnotationFacts | null
}

export function toSummary(read: {
  readonly nodeState: string
  readonly training: TrainingView
  readonly evaluation: Evaluation
  readonly stages: Readonly<Record<string, number>>
  readonly seconds: number
  readonly conversion: ConversionFacts | null
  readonly detector: DetectorFacts | null
  readonly annotation: AnnotationFacts | null
}): DemoSummary {
  const { training, evaluation, stages, seconds, conversion, detector, annotation } = read
  const point = training.points.at(-1)
  const model = training.models[0] ?? null
  return {
    ok:
      read.nodeState === 'idle' && isComplete(training) && evaluation.images_with_detections > 0 && isServed(detector),
    state: read.nodeState,
    train_image_count: point?.train_image_count ?? 0,
    test_image_count: point?.test_image_count ?? 0,
    f1: training.best_f1,
    model: model === null ? null : { id: model.id, version: model.version, formats: model.formats },
    images_with_detections: evaluation.images_with_detections,
    precision: evaluation.precision,
    recall: evaluation.recall,
    stages,
    seconds: Math.round(seconds * 10) / 10,
    conversion,
    detector,
    annotation,
  }
}

/** Whether the training has ended with a model and without an error. */
export function isComplete(training: TrainingView): boolean {
  return training.ended !== null && Object.keys(training.errors).length === 0 && training.models.length > 0
}

/** Every image was answered, and what was uncertain has come back. */
function isServed(detector: DetectorFacts | null): boolean {
  return detector !== null && detector.images > 0 && detector.arrived === detector.uncertain
}

/** The summary for people. */
export function summaryLines(summary: DemoSummary, evaluation: Evaluation): string[] {
  const { model } = summary
  const share = (value: number | null) => (value === null ? '–' : value.toFixed(3))
  const { test, inbox } = evaluation.sets
  return [
    '',
    summary.ok ? 'The training went through; this is what the Loop says of it:' : 'The demo failed:',
    `  state            ${summary.state}`,
    `  images           ${summary.train_image_count} train, ${summary.test_image_count} test`,
    `  best F1          ${share(summary.f1)}`,
    `  model            ${model === null ? '–' : `${model.version} (${model.formats.join(', ')}), id ${model.id}`}`,
    `  detections       on ${summary.images_with_detections} of ${evaluation.image_count} images`,
    `  against truth    precision ${share(summary.precision)}, recall ${share(summary.recall)}`,
    `                   test set ${share(test.precision)} / ${share(test.recall)}, inbox ${share(inbox.precision)} / ${share(inbox.recall)}`,
    '  time             ' +
      Object.entries(summary.stages)
        .map(([stage, seconds]) => `${stage} ${seconds.toFixed(1)} s`)
        .join(', '),
    `  in all           ${summary.seconds} s`,
    ...conversionLines(summary.conversion),
    ...detectorLines(summary.detector),
    ...annotationLines(summary.annotation),
  ]
}

function conversionLines(conversion: ConversionFacts | null): string[] {
  if (conversion === null) return []
  return [`  converter        ${conversion.formats.join(', ')} ${conversion.seconds} s after the training`]
}

function detectorLines(detector: DetectorFacts | null): string[] {
  if (detector === null) return []
  const { images, boxes, ms, uncertain, arrived } = detector
  return [
    `  detector         ${boxes} boxes in ${images} images; ${ms.rest} ms by REST, ${ms.socket} ms by socket`,
    `                   ${uncertain} images uncertain, ${arrived} of them in the Loop's inbox again`,
  ]
}

function annotationLines(annotation: AnnotationFacts | null): string[] {
  if (annotation === null) return []
  const { points, ms, box_iou } = annotation
  return [`  annotator        outline of ${points} points in ${ms} ms, box overlap ${box_iou}`]
}
