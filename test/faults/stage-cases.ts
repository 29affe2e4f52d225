import type { EffectKind, FaultRule, TrainingRequest } from '../../src/mock/loop/index.js'
import type { Stage } from '../../src/queue/jobs/names.js'
import type { FleetCondition } from '../helpers/fleet.js'

type Match = FaultRule['match']

/** How a training is brought into a stage and kept there long enough to do something to it. */
export type StageCase = {
  readonly hyperparameters: NonNullable<TrainingRequest['hyperparameters']>
  /** The training goes on from a model of the project. */
  readonly fromModel?: boolean
  /** What waits at the Loop until the fault is there. */
  readonly hold?: Match
  /** The training is in the stage when this is so (and something waits, where there is a hold). */
  readonly inside?: FleetCondition
  /** What the stage asks of the Loop, and how often at least; without it only the node speaks with the Loop meanwhile. */
  readonly asks?: { readonly match: Match; readonly times: number }
  /** What it does at the Loop. */
  readonly effect?: EffectKind
}

const SHORT = { epochs: 3, epoch_seconds: 0.05 }

export const stageCases: Record<Stage, StageCase> = {
  'download-data': {
    hyperparameters: SHORT,
    hold: { method: 'GET', path: '^/api/.*/images/[^/]+/main' },
    asks: { match: { method: 'GET', path: '^/api/.*/(data|images\\?|images/[^/]+/main)' }, times: 8 },
  },
  'download-model': {
    hyperparameters: SHORT,
    fromModel: true,
    hold: { method: 'GET', path: '^/api/.*/models/[^/]+/mocked/file' },
    asks: { match: { method: 'GET', path: '^/api/.*/models/[^/]+/mocked/file' }, times: 1 },
  },
  train: {
    hyperparameters: { epochs: 20, epoch_seconds: 0.1 },
    inside: { epoch: 3 },
    asks: { match: { event: 'update_training' }, times: 1 },
    effect: 'metrics',
  },
  'sync-metrics': {
    hyperparameters: SHORT,
    hold: { event: 'update_training' },
    inside: { state: 'confusion_matrix_syncing' },
    asks: { match: { event: 'update_training' }, times: 1 },
    effect: 'metrics',
  },
  convert: {
    hyperparameters: { ...SHORT, convert_seconds: 1 },
    inside: { state: 'confusion_matrix_synced' },
  },
  'upload-model': {
    hyperparameters: SHORT,
    hold: { method: 'PUT', path: '^/api/.*/trainings/' },
    asks: { match: { method: 'PUT', path: '^/api/.*/trainings/' }, times: 2 },
    effect: 'training-model',
  },
  detect: {
    hyperparameters: { ...SHORT, detect_seconds: 1 },
    inside: { state: 'detecting' },
    asks: { match: { method: 'GET', path: '^/api/.*/models/[^/]+/mocked/file' }, times: 1 },
  },
  'upload-detections': {
    hyperparameters: SHORT,
    hold: { method: 'POST', path: '^/api/.*/detections' },
    asks: { match: { method: 'POST', path: '^/api/.*/detections' }, times: 3 },
    effect: 'detections',
  },
  cleanup: {
    hyperparameters: { ...SHORT, litter: 8000 },
    inside: { state: 'ready_for_cleanup' },
  },
}

/** Stages whose requests are hit from the first one on; in the others the fault comes when the stage has begun. */
export function isHitFromTheStart(stage: Stage): boolean {
  const { asks } = stageCases[stage]
  return asks !== undefined && asks.match.event === undefined
}
