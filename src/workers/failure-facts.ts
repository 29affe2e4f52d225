import { z } from 'zod'
import { failureClassOf, LoopfleetError, messageOf } from '../base/errors.js'
import { looksOutOfMemory } from '../executors/out-of-memory.js'
import type { TrainerState } from '../loop/protocol/index.js'
import type { FailureFacts } from '../queue/failure-facts.js'

const MAX_LINES = 20
const MAX_LINE = 300
const MAX_MESSAGE = 2_000

/** What errors of external programs tell, whoever throws them. */
const programEndSchema = z.object({
  exitCode: z.int().nullable(),
  signal: z.string().nullable(),
  lastLogLines: z.array(z.string()),
  /** The trainer file's word for a known line of the log. */
  reported: z.string().nullish(),
  cause: z.string().optional(),
  outOfMemory: z.boolean().optional(),
})

/** A failure as the journal keeps it: what, where, and of a program how it ended and what it said last. */
export function toFailureFacts(
  thrown: unknown,
  where: Pick<FailureFacts, 'stage' | 'hostId' | 'attempt' | 'at'>,
): FailureFacts {
  const facts = {
    ...where,
    code: thrown instanceof LoopfleetError ? thrown.code : 'LF_UNEXPECTED',
    message: messageOf(thrown).slice(0, MAX_MESSAGE),
    failure: failureClassOf(thrown),
  }
  const end = programEndSchema.safeParse(thrown instanceof LoopfleetError ? thrown.details : undefined).data
  if (end === undefined) return facts
  const lastLogLines = end.lastLogLines.slice(-MAX_LINES).map((line) => line.slice(0, MAX_LINE))
  const said = [...end.lastLogLines, end.reported ?? '', end.cause ?? '']
  const outOfMemory = end.outOfMemory === true || looksOutOfMemory({ ...end, lastLogLines: said })
  return { ...facts, exitCode: end.exitCode, signal: end.signal, outOfMemory, lastLogLines }
}

/** Key under which the Loop sees an error that no step has thrown (loop-protocol: trainer state machine). */
export function errorKeyOf(state: TrainerState): string {
  switch (state) {
    case 'idle':
    case 'blocked':
    case 'initialized':
    case 'waiting_for_slot':
    case 'preparing':
    case 'data_downloading':
      return 'prepare'
    case 'data_downloaded':
    case 'train_model_downloading':
      return 'download_model'
    case 'train_model_downloaded':
    case 'running':
      return 'run_training'
    case 'training_finished':
    case 'confusion_matrix_syncing':
      return 'sync_confusion_matrix'
    case 'confusion_matrix_synced':
    case 'train_model_uploading':
      return 'upload_model'
    case 'train_model_uploaded':
    case 'detecting':
      return 'detecting'
    case 'detected':
    case 'detection_uploading':
      return 'upload_detections'
    case 'ready_for_cleanup':
      return 'cleanup'
    default:
      return state satisfies never
  }
}
