import type { JudgedStatus } from '../judge/trainer-messages.js'
import { RefusedError } from '../refused-error.js'
import type { Project } from '../store/project.js'
import type { TrainingRecord } from '../store/records.js'
import type { Store } from '../store/store.js'

export type ProjectTraining = { readonly project: Project; readonly training: TrainingRecord }

const START_GRACE_MS = 30_000
const MAX_HISTORY = 2000

/**
 * The training a trainer works on, of all projects or of one: the latest that was ordered there, but while an earlier
 * one goes on and the latest was not begun (its ack is awaited), the earlier one.
 */
export function latestTrainingOf(projects: readonly Project[], trainerId: string): ProjectTraining | undefined {
  const ordered = projects
    .flatMap((project) => project.record.trainings.map((training) => ({ project, training })))
    .filter(({ training }) => training.trainer_id === trainerId && training.outcome !== 'refused')
    .sort((a, b) => a.training.created.localeCompare(b.training.created))
  const latest = ordered.at(-1)
  if (latest === undefined || latest.training.seen_active) return latest
  return ordered.findLast(({ training }) => training.seen_active && training.ended === null) ?? latest
}

/** The training with this number; a refusal (404) when there is none. */
export function trainingByNumber(project: Project, number: number): TrainingRecord {
  const found = project.record.trainings.find((training) => training.number === number)
  if (found === undefined) throw new RefusedError(404, `There is no training ${number} in ${project.name}.`)
  return found
}

/** Follows a training by its trainer's status: begin, changes, and the end when the trainer is idle again. */
export async function followTraining(store: Store, judged: JudgedStatus, now: number): Promise<void> {
  const { status, state } = judged
  const found = latestTrainingOf(store.projects(), status.id)
  if (found === undefined) return
  const { project, training } = found
  const before = JSON.stringify([training.state, training.errors, training.ended])
  if (state === 'idle' || state === 'blocked') {
    end(project, training, now)
  } else if (status.context === null || isOf(project, status.context)) {
    goOn(training, judged, now)
  }
  if (JSON.stringify([training.state, training.errors, training.ended]) !== before) await project.save()
}

function goOn(training: TrainingRecord, { status, state, dialect, counts }: JudgedStatus, now: number): void {
  const { progress, errors } = status
  const changed = state !== training.state || progress !== training.progress || !isSame(errors, training.errors)
  // A restarted 0.8 trainer is idle for one status before it goes on with its training.
  Object.assign(training, { seen_active: true, ended: null, outcome: null, dialect, state, progress, errors })
  training.trainer_name = status.name
  if (counts !== null) Object.assign(training, counts)
  if (!changed && training.history.length > 0) return
  training.history.push({ time: now, state, progress, errors })
  if (training.history.length > MAX_HISTORY) training.history.shift()
}

function end(project: Project, training: TrainingRecord, now: number): void {
  if (training.ended !== null) return
  const hasBegun = training.seen_active || training.points.length > 0
  if (!hasBegun && now - Date.parse(training.created) < START_GRACE_MS) return
  if (!hasBegun) training.errors = { loop: 'The trainer did not begin.' }
  training.outcome = outcomeOf(project, training)
  training.ended = new Date(now).toISOString()
  training.state = 'idle'
  training.progress = null
  training.history.push({ time: now, state: 'idle', progress: null, errors: training.errors })
}

/** A training without a model was given up: by the Loop's order, or by the node's own people. */
function outcomeOf(project: Project, training: TrainingRecord): 'completed' | 'failed' | 'aborted' {
  if (training.requested === 'abort') return 'aborted'
  if (Object.keys(training.errors).length > 0) return 'failed'
  const hasModel = project.record.models.some(({ training_number }) => training_number === training.number)
  return hasModel ? 'completed' : 'aborted'
}

function isOf(project: Project, context: { organization: string; project: string }): boolean {
  return project.name === `${context.organization}/${context.project}`
}

function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}
