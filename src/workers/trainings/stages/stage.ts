import type { Logger } from '../../../base/logger/index.js'
import type { GpuFigures } from '../../../executors/gpu/index.js'
import type { OutputAudience, OutputWatchDeps } from '../../../executors/program/index.js'
import type { InferencePool, InferencePoolOptions } from '../../../inference/index.js'
import type { ImageExchange, LoopRest, ModelExchange } from '../../../loop/client/index.js'
import type { Dialect, TrainerState } from '../../../loop/protocol/index.js'
import type { Stage as StageName, StepProgress, UploadedModelName, WorkKind } from '../../../queue/index.js'
import type { OnStop } from '../stop-switch.js'
import type { TrainingRun } from '../training-run.js'
import type { WarningKey } from '../warnings.js'

/** The dependencies of all stages, created once with the worker. */
export type StageDeps = {
  readonly images: ImageExchange
  readonly models: ModelExchange
  readonly rest: LoopRest
  /** Notifies the converters of the fleet that the Loop has a new model. */
  readonly announceUpload?: (model: UploadedModelName) => Promise<void>
  /** The dialect of messages to the Loop (LOOP_PROTOCOL). */
  readonly dialect: Dialect
  /** Images per upload of detections; never more than the dialect allows. */
  readonly detectionsPerPost?: number
  /** Threads of the detection pool. */
  readonly threads: number
  /** The last figures of all GPUs of this host, or null; does not wait. */
  readonly gpuFigures: () => GpuFigures[] | null
  /** The thread that reads the output of the programs of this host. */
  readonly outputThread?: OutputWatchDeps['outputThread']
  readonly createPool: (options: InferencePoolOptions) => Promise<InferencePool>
}

/** What one attempt at a stage works with. */
export type StageContext = {
  readonly training: TrainingRun
  /** Aborted by a stop (if the stage ends on a stop), an abort, a shutdown, or a newer run; the reason is one error class for each. */
  readonly signal: AbortSignal
  readonly log: Logger
  /** Progress of the step's job and, as 0..1, of the training; passed on at most twice a second. */
  progress(progress: Partial<StepProgress>): void
  /** Writes a line for people into the log of the job and of the training. */
  say(line: string): void
  /** Writes a warning once into all logs, and reports it to the Loop under this key until the training is over. */
  warn(key: WarningKey, message: string): void
  /** Notes that the stage waits for something outside, such as the Loop: after a while the place is lent to another training. */
  noteWaiting(): void
  /** Follows the output of the stage's programs, for the same logs. */
  readonly audience: OutputAudience
}

/** The states at the Loop: `during` while a step runs, `after` when it is done; null leaves the state as it is. */
type LoopStates = { readonly during: TrainerState | null; readonly after: TrainerState | null }

/** One stage of a training: everything about it except its position in the pipeline. */
export type Stage = {
  readonly name: StageName
  /** On which of the host's queues its steps are. */
  readonly kind: WorkKind
  readonly loopStates: LoopStates
  /** Its progress is reported to the Loop as that of the training. */
  readonly reportsProgress: boolean
  /** Key of its error in the status at the Loop (loop-protocol: trainer state machine). */
  readonly errorKey: string
  readonly onStop: OnStop
  /** Its results are not needed any more once the model is at the Loop. */
  readonly servesUpload: boolean
  /** The files on this host that exist if it is done; `at-loop` if its effect is at the Loop, where it counts for all hosts. */
  readonly results: 'at-loop' | ((training: TrainingRun) => readonly string[])
  /**
   * Reads record and disk, does what is missing, and returns what the record keeps of it. It may be run again after any kill.
   */
  readonly run: (context: StageContext, deps: StageDeps) => Promise<Readonly<Record<string, unknown>>>
}

export type Stages = Readonly<Record<StageName, Stage>>

/** The fields of the record for a state; its progress is empty at first. */
export function stateFields(state: TrainerState | null): { state?: TrainerState; progress?: null } {
  return state === null ? {} : { state, progress: null }
}
