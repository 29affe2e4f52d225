import type { Control } from '../control.js'
import type { Journal } from '../journal.js'
import type { Records } from '../records/records.js'
import type { TrainingPayload } from './training-payload.js'

/** What only the host that works on a training may do to its record; on records it has a `Run` for that. */
type OfTheHost = 'take' | 'beginRun' | 'checkRun' | 'update' | 'finishStep' | 'excuseRun' | 'finish'

/** The trainings of the fleet as nodes, hosts, dashboard and CLI see them. */
export type TrainingsOfFleet = Omit<Journal, OfTheHost>

/** Stop, abort and retry, from anywhere in the fleet. */
export type TrainingControl = Pick<Control, 'request' | 'requestWithoutRecord' | 'retry'>

/** The trainings of the fleet: a thin module on their records, with the rules of seats and of repeated orders. */
export type Trainings = TrainingsOfFleet &
  TrainingControl & {
    /** The records themselves, for the host that works on them. */
    readonly records: Records<TrainingPayload>
    /** The log of one that has ended is kept for a while only. */
    expireLog(id: string): Promise<void>
  }
