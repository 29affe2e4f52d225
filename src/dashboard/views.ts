import { plainText } from '../base/terminal/index.js'
import {
  type ConversionRecord,
  type CurvePoint,
  failureOf,
  isWaiting,
  type JobView,
  type LogEntry,
  queueNames,
  type Stage,
  type StepProgress,
  shownOutcome,
  stages,
  stepJobSchema,
  stepProgressSchema,
  type TrainingRecord,
  warningsOf,
} from '../queue/index.js'

export type TrainingAction = 'stop' | 'abort' | 'retry'

/** A step that is being worked on, with the figures of its program. */
export type CurrentStep = Partial<StepProgress> & {
  readonly stage: Stage
  readonly queue: string
  readonly jobId: string
  readonly attempt: number
  readonly startedAt: number | null
}

/** A training as page and API show it. */
export function toTrainingView(record: TrainingRecord, current: readonly CurrentStep[], waits: string | null) {
  const { order, seat, steps, models } = record
  return {
    id: record.id,
    name: `${order.organization}/${order.project}#${order.trainingNumber}`,
    organization: order.organization,
    project: order.project,
    trainingNumber: order.trainingNumber,
    trainer: record.trainer,
    modelVariant: order.modelVariant,
    seat: seat.name,
    state: record.state,
    outcome: record.outcome,
    /** For people: also `stopped`. */
    shownOutcome: shownOutcome(record),
    isWaiting: isWaiting(record),
    /** Why it waits, in one sentence. */
    waits,
    stopRequested: record.stopRequested,
    progress: record.progress,
    errors: record.errors,
    /** The last failure, also when it was got over. */
    failure: failureOf(record) ?? null,
    warnings: warningsOf(record),
    hostId: record.hostId,
    /** What its program was lent last. */
    device: typeof record.facts.device === 'string' ? record.facts.device : null,
    run: record.run,
    createdAt: record.createdAt,
    startedAt: record.startedAt,
    endedAt: record.endedAt,
    trainImageCount: record.trainImageCount,
    testImageCount: record.testImageCount,
    skippedImageCount: record.skippedImageCount,
    best: record.best,
    categories: order.categories.map(({ id, name }) => ({ id, name })),
    modelVersion: record.modelVersion,
    formats: Object.entries(models)
      .filter(([, model]) => model.state === 'confirmed')
      .map(([format]) => format),
    steps: stages.flatMap((stage) => {
      const step = steps[stage]
      return step === undefined ? [] : [{ stage, hostId: step.hostId, seconds: step.seconds, at: step.at }]
    }),
    current: record.endedAt === null ? current : [],
    actions: actionsOf(record),
  }
}

/** Entries of a log as plain text, and where reading goes on. */
export function toLogView(entries: readonly LogEntry[], from: string | undefined) {
  return {
    entries: entries.map(({ cursor, text }) => ({ cursor, text: plainText(text) })),
    cursor: entries.at(-1)?.cursor ?? from ?? null,
  }
}

/** Curves by name: one value per epoch, null where the trainer reported none. */
export function toCurveView(points: readonly CurvePoint[]) {
  const names = [...new Set(points.flatMap(({ values }) => Object.keys(values)))]
  const series = names.map((name) => ({
    name,
    values: points.map(({ values }) => (Object.hasOwn(values, name) ? (values[name] ?? null) : null)),
  }))
  return { epochs: points.map(({ epoch }) => epoch), series }
}

function actionsOf(record: TrainingRecord): TrainingAction[] {
  if (record.endedAt === null) return record.held === null ? ['stop', 'abort'] : ['retry', 'stop', 'abort']
  return record.outcome === 'failed' ? ['retry'] : []
}

/** The step behind an active job; undefined for a job we do not understand. */
export function toCurrentStep(queue: string, job: JobView): (CurrentStep & { trainingId: string }) | undefined {
  const step = stepOf(job.data)
  if (step === undefined) return undefined
  const progress = stepProgressSchema.safeParse(job.progress)
  return {
    attempt: job.attemptsStarted,
    ...(progress.success ? progress.data : {}),
    trainingId: step.trainingId,
    stage: step.stage,
    queue,
    jobId: job.id,
    startedAt: job.startedAt,
  }
}

function stepOf(data: unknown): { readonly trainingId: string; readonly stage: Stage } | undefined {
  const step = stepJobSchema.safeParse(data).data
  return step && { trainingId: step.id, stage: step.step }
}

/** A conversion as page and API show it. */
export function toConversionView({ order, definition: _, ...record }: ConversionRecord) {
  const { state, hostId } = record
  const actions = state === 'failed' || state === 'aborted' ? (['retry'] as const) : []
  // Where its steps are: on the host that has it, or had it last.
  const queue = hostId === null ? null : queueNames.conversions(hostId)
  return { ...order, ...record, queue, actions }
}
