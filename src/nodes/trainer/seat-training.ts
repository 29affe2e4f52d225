import type { Logger } from '../../base/logger/index.js'
import { errorKeyOf, lostSentence, type TrainingRecord, type TrainingsOfFleet } from '../../queue/index.js'

/** The trainings of a seat: what Redis has, completed by what the seat has seen before. */
type SeatTrainingView = {
  /** The unfinished training; if Redis has lost its record, the last one that the seat has read, with the loss as an error. */
  readonly training: TrainingRecord | undefined
  /** Ended trainings whose final status the Loop has not acknowledged. */
  readonly ended: readonly TrainingRecord[]
  /** Redis came back without the record, or with an older one. */
  readonly lost: string | undefined
}

/** The training of a seat. It does not end if its record is missing or is older than the last one that was read. */
export type SeatTraining = {
  read(): Promise<SeatTrainingView>
  /** The seat has accepted this training. If its record is missing from now on, `read` reports it as lost. */
  accepted(training: TrainingRecord): void
  /** Whether the seat has this training, also while its record is lost. */
  has(trainingId: string): boolean
  /** Forgets the training whose record is lost and returns it, if there is one: the Loop asked for its end. */
  forgetLost(): TrainingRecord | undefined
  /** As of the last `read`. */
  readonly lost: string | undefined
}

export function createSeatTraining(
  { uuid }: { readonly uuid: string },
  deps: {
    readonly trainings: Pick<TrainingsOfFleet, 'unfinishedOfSeat' | 'unackedEndsOfSeat' | 'load'>
    readonly log: Logger
  },
): SeatTraining {
  const { trainings, log } = deps
  let lastSeen: TrainingRecord | undefined
  let lost: string | undefined

  async function read(): Promise<SeatTrainingView> {
    const unfinished = await trainings.unfinishedOfSeat(uuid)
    const ended = await trainings.unackedEndsOfSeat(uuid)
    // It may have ended between the two reads.
    const current = ended.some(({ id }) => id === unfinished?.id) ? undefined : unfinished
    const record = await recordOf(lastSeen, current, ended)
    if (lastSeen === undefined || (record !== undefined && record.run >= lastSeen.run)) {
      if (lost !== undefined) log.info({ trainingId: lastSeen?.id }, 'Redis has the record again')
      lastSeen = current
      lost = undefined
      return { training: current, ended, lost }
    }
    const sentence = lostSentence(`training ${lastSeen.id}`, { run: lastSeen.run, found: record?.run ?? null })
    if (lost !== sentence)
      log.error({ trainingId: lastSeen.id, run: lastSeen.run, found: record?.run ?? null }, sentence)
    lost = sentence
    const reported = current?.id === lastSeen.id ? current : lastSeen
    const errors = { ...reported.errors, [errorKeyOf(reported.state)]: sentence }
    return { training: { ...reported, errors }, ended: ended.filter(({ id }) => id !== lastSeen?.id), lost }
  }

  async function recordOf(
    wanted: TrainingRecord | undefined,
    current: TrainingRecord | undefined,
    ended: readonly TrainingRecord[],
  ): Promise<TrainingRecord | undefined> {
    if (wanted === undefined) return undefined
    return [current, ...ended].find((each) => each?.id === wanted.id) ?? (await trainings.load(wanted.id))
  }

  return {
    read,
    accepted(training) {
      if (training.endedAt === null) lastSeen = training
    },
    has: (trainingId) => lastSeen?.id === trainingId,
    get lost() {
      return lost
    },
    forgetLost() {
      if (lost === undefined) return undefined
      const forgotten = lastSeen
      lastSeen = undefined
      lost = undefined
      return forgotten
    },
  }
}
