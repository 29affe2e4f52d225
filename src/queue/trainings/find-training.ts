import { TrainingAmbiguousError } from './training-errors.js'

export type TrainingIndex = {
  /** The newest training of this name (organization/project#number). */
  idNamed(name: string): Promise<string | null>
  /** Ids that begin so, in their order. */
  idsFrom(prefix: string, limit: number): Promise<readonly string[]>
}

const MOST = 5

/** The id of a training by id, by the unique beginning of one, or by name. Throws LF_TRAINING_AMBIGUOUS. */
export async function findTrainingId(wanted: string, index: TrainingIndex): Promise<string | null> {
  if (wanted.includes('#')) return await index.idNamed(wanted)
  if (!/^[0-9a-z]+$/.test(wanted)) return null
  const ids = await index.idsFrom(wanted, MOST)
  if (ids.length > 1 && ids[0] !== wanted) throw new TrainingAmbiguousError({ prefix: wanted, ids })
  return ids[0] ?? null
}
