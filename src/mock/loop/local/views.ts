import type { LoopContext } from '../context.js'
import { modelEntries } from '../models/model-list.js'
import type { LoopNode } from '../nodes.js'
import type { Project } from '../store/project.js'
import type { LocalImageState, TrainingRecord } from '../store/records.js'
import { scoresOf } from '../trainings/metrics.js'

const DETECTOR_SILENCE_MS = 90_000

/** A node as the control API shows it. */
export function nodeView(context: LoopContext, node: LoopNode) {
  const { socketId, lastSeen, ...rest } = node
  const isSilent = socketId === null && context.now() - lastSeen > DETECTOR_SILENCE_MS
  return { ...rest, connected: node.connected && !isSilent, last_seen: new Date(lastSeen).toISOString() }
}

/** A training as the control API shows it: its record, its model, and the scores of its best point. */
function trainingView(project: Project, training: TrainingRecord) {
  const { organization, project: name } = project.record
  const points = training.points.map((point) => ({ ...point, ...scoresOf(point.confusion_matrix) }))
  const models = modelEntries(project).filter(({ training_number }) => training_number === training.number)
  const measured = points.flatMap(({ f1 }) => (f1 === null ? [] : [f1]))
  const best_f1 = measured.reduce<number | null>((top, f1) => (top === null || f1 > top ? f1 : top), null)
  return { organization, project: name, ...training, points, models, best_f1 }
}

export type TrainingView = ReturnType<typeof trainingView>

export function allTrainings(context: LoopContext): TrainingView[] {
  return context.store
    .projects()
    .flatMap((project) => project.record.trainings.map((training) => trainingView(project, training)))
    .sort((a, b) => b.created.localeCompare(a.created))
}

/** A project as the page lists it. */
export function projectView(project: Project) {
  const { organization, project: name, created, categories, target } = project.record
  const states: Partial<Record<LocalImageState, number>> = {}
  for (const { state } of project.images.values()) states[state] = (states[state] ?? 0) + 1
  const versions = new Set([...project.detections.values()].flatMap((byVersion) => [...byVersion.keys()]))
  const detection_versions = [...versions].filter((version) => version !== '').sort(byNumber)
  return {
    organization,
    project: name,
    created,
    categories,
    target,
    states,
    image_count: project.images.size,
    models: modelEntries(project),
    detection_versions,
  }
}

/** 1.10 comes after 1.9. */
function byNumber(a: string, b: string): number {
  return a.localeCompare(b, 'en', { numeric: true })
}
