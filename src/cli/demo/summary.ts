import { z } from 'zod'

const scoreSchema = z.object({ precision: z.number().nullable(), recall: z.number().nullable() })

/** What the demo reads back from the local Loop's control API; only what it prints. */
export const trainingsViewSchema = z.object({
  trainings: z.array(
    z.object({
      project: z.string(),
      number: z.number(),
      state: z.string(),
      progress: z.number().nullable(),
      ended: z.string().nullable(),
      outcome: z.string().nullable(),
      errors: z.record(z.string(), z.string()),
      best_f1: z.number().nullable(),
      points: z.array(z.object({ train_image_count: z.number(), test_image_count: z.number() })),
      models: z.array(z.object({ id: z.string(), version: z.string().nullable(), formats: z.array(z.string()) })),
    }),
  ),
})
export type TrainingView = z.infer<typeof trainingsViewSchema>['trainings'][number]

export const nodesViewSchema = z.object({
  nodes: z.array(z.object({ id: z.string(), state: z.string().nullable(), connected: z.boolean() })),
})

export const evaluationSchema = z.object({
  ...scoreSchema.shape,
  images_with_detections: z.number(),
  image_count: z.number(),
  sets: z.object({ test: scoreSchema, inbox: scoreSchema }),
})
export type Evaluation = z.infer<typeof evaluationSchema>

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
  readonly seconds: number
}

export function toSummary(read: {
  readonly nodeState: string
  readonly training: TrainingView
  readonly evaluation: Evaluation
  readonly stages: Readonly<Record<string, number>>
  readonly seconds: number
}): DemoSummary {
  const { training, evaluation, stages, seconds } = read
  const point = training.points.at(-1)
  const model = training.models[0] ?? null
  const isComplete = training.ended !== null && Object.keys(training.errors).length === 0 && model !== null
  return {
    ok: read.nodeState === 'idle' && isComplete && evaluation.images_with_detections > 0,
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
  }
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
  ]
}
