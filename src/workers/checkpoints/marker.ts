import { z } from 'zod'
import { LoopfleetError } from '../../base/index.js'

/** What `<sequence>.json` says of `<sequence>.tar`; it is written last, so a tar without one is none. */
export const markerSchema = z.object({
  version: z.literal(1),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  bytes: z.int().min(1),
  /** The fence: which take of the training has packed it. */
  run: z.int().min(1),
  /** The last epoch the program had told of. */
  epoch: z.number().nullable(),
  createdAt: z.string(),
  /** The mark of the checkpoint in its workspace, by which a resume from it is known to have failed. */
  source: z.string().nullable().default(null),
  /** What `train` answered, once the program had ended well: then only the models are needed. */
  finished: z.object({ stopped: z.boolean(), epoch: z.number().nullable() }).nullable(),
})
export type Marker = z.infer<typeof markerSchema>
export type Finished = NonNullable<Marker['finished']>

/** A packed checkpoint that is not whole; the one before it is taken. */
export class CheckpointBrokenError extends LoopfleetError {
  static {
    this.prototype.name = 'CheckpointBrokenError'
  }
  constructor(details: { readonly file: string; readonly problem: string }, cause?: unknown) {
    super('LF_CHECKPOINT_BROKEN', `The checkpoint ${details.file} cannot be used: ${details.problem}.`, {
      details,
      cause,
    })
  }
}

/** The shared folder is not there: not made by us, since it may be a file system that is not mounted now. */
export class CheckpointFolderError extends LoopfleetError {
  static {
    this.prototype.name = 'CheckpointFolderError'
  }
  constructor(folder: string, cause?: unknown) {
    super('LF_PATH_UNUSABLE', `The folder ${folder} for checkpoints does not exist; mount it or make it.`, {
      details: { folder },
      failure: 'transient', // of the training that waits for it
      cause,
    })
  }
}

const SEQUENCE = /^(\d{6,})-(\d{6,})$/

/** Names sort by run first: whatever an older run still packs never comes before what a newer one has packed. */
export function toSequence(run: number, number: number): string {
  return `${String(run).padStart(6, '0')}-${String(number).padStart(6, '0')}`
}

export function parseSequence(name: string): { readonly run: number; readonly number: number } | undefined {
  const [, run, number] = SEQUENCE.exec(name) ?? []
  return run === undefined || number === undefined ? undefined : { run: Number(run), number: Number(number) }
}
