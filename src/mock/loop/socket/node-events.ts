import { z } from 'zod'
import { annotatorStatusSchema, type DetectorTarget, detectorStatusSchema } from '../../../loop/protocol/index.js'
import { acceptAnnotation } from '../annotations/accept-annotation.js'
import type { LoopContext } from '../context.js'
import { checked, requireKeys } from '../judge/checks.js'
import { judgeTrainerStatus } from '../judge/trainer-messages.js'
import type { Project } from '../store/project.js'
import { acceptMetrics } from '../trainings/metrics.js'
import { followTraining } from '../trainings/trainings.js'
import type { EventHandler } from './events.js'

export type NodeEventEntry = { readonly event: string; readonly count: number; readonly handler: EventHandler }

/** The events that nodes may send, with the number of arguments of each event. */
export function nodeEvents(context: LoopContext): readonly NodeEventEntry[] {
  return [
    { event: 'update_trainer', count: 1, handler: ([status], { id }) => updateTrainer(context, id, status) },
    {
      event: 'update_training',
      count: 3,
      handler: ([o, p, metrics]) => acceptMetrics(context, projectOf(context, o, p), metrics),
    },
    {
      event: 'update_detector',
      count: 3,
      handler: async ([o, p, status], { id }) => updateDetector(context, id, projectOf(context, o, p), status),
    },
    {
      event: 'update_annotation_node',
      count: 1,
      handler: async ([status], { id }) => updateAnnotator(context, id, status),
    },
    {
      event: 'update_segmentation_annotation',
      count: 3,
      handler: async ([o, p, annotation]) => acceptAnnotation(context, projectOf(context, o, p), annotation),
    },
  ]
}

async function updateTrainer(context: LoopContext, socketId: string, value: unknown): Promise<void> {
  const judged = judgeTrainerStatus(value)
  const { status, dialect, state } = judged
  const { id, name, progress, errors } = status
  const node = context.nodes.seen({
    id,
    name,
    type: 'trainer',
    dialect,
    socketId,
    state,
    progress,
    errors,
    status: { ...status },
  })
  const place = status.context === null ? null : `${status.context.organization}/${status.context.project}`
  context.nodes.note(node, { state, context: place })
  await followTraining(context.store, judged, context.now())
}

function updateDetector(context: LoopContext, socketId: string, project: Project, value: unknown): DetectorTarget {
  requireKeys(value, Object.keys(detectorStatusSchema.shape), 'update_detector')
  const status = checked(detectorStatusSchema, value, 'update_detector')
  const { id, name, state, errors } = status
  context.nodes.seen({ id, name, type: 'detector', dialect: '0.8', socketId, state, progress: null, errors, status })
  const target = project.record.models.find((model) => model.id === project.record.target)
  return { target_model_version: target?.version ?? null, target_model_id: target?.id ?? null }
}

function updateAnnotator(context: LoopContext, socketId: string, value: unknown): void {
  requireKeys(value, Object.keys(annotatorStatusSchema.shape), 'update_annotation_node')
  const status = checked(annotatorStatusSchema, value, 'update_annotation_node')
  const { id, name, state, errors } = status
  context.nodes.seen({
    id,
    name,
    type: 'annotation_node',
    dialect: null,
    socketId,
    state,
    progress: null,
    errors,
    status,
  })
}

function projectOf(context: LoopContext, organization: unknown, project: unknown): Project {
  return context.store.project(
    checked(z.string(), organization, 'organization'),
    checked(z.string(), project, 'project'),
  )
}
