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

/** What a stage works with; handed in once when the worker is built. */
export type StageDeps = {
  readonly images: ImageExchange
  readonly models: ModelExchange
  readonly rest: LoopRest
  /** Tells the converters of the fleet that the Loop has a new model. */
  readonly tellUpload?: (model: UploadedModelName) => Promise<void>
  /** How what is sent is spelled (LOOP_PROTOCOL). */
  readonly dialect: Dialect
  /** Images per upload of detections; never more than the dialect allows. */
  readonly detectionsPerPost?: number
  /** Threads of the detection pool. */
  readonly threads: number
  /** Newest figures of all GPUs of this host, or null; never waits. */
  readonly gpuFigures: () => GpuFigures[] | null
  /** Reads what the programs of this host print. */
  readonly outputThread?: OutputWatchDeps['outputThread']
  readonly createPool: (options: InferencePoolOptions) => Promise<InferencePool>
}

/** What surrounds one take of one stage. */
export type StageContext = {
  readonly training: TrainingRun
  /** Aborted by a stop (if the stage ends on a stop), an abort, a shutdown, or a newer run; the reason is one error class for each. */
  readonly signal: AbortSignal
  readonly log: Logger
  /** Progress of the step's job and, as 0..1, of the training; passed on at most twice a second. */
  progress(progress: Partial<StepProgress>): void
  /** A line for people, in the job's log and the training's. */
  say(line: string): void
  /** A warning, once, in all logs and at the Loop, which sees it under this key until the training is over. */
  warn(key: WarningKey, message: string): void
  /** It waits for something outside, such as the Loop: after a while another training has its place. */
  waits(): void
  /** Follows the output of the stage's programs, for the same logs. */
  readonly audience: OutputAudience
}

/** The Loop sees `during` while a step runs, and `after` when it is done; null leaves the state as it is. */
type ShownStates = { readonly during: TrainerState | null; readonly after: TrainerState | null }

/** One stage of a training: all that is known of it but its place in the pipeline. */
export type Stage = {
  readonly name: StageName
  /** On which of the host's queues its steps are. */
  readonly kind: WorkKind
  readonly shown: ShownStates
  /** The Loop sees its progress as that of the training. */
  readonly showsProgress: boolean
  /** Under which the Loop sees its error (loop-protocol: trainer state machine). */
  readonly errorKey: string
  readonly onStop: OnStop
  /** What it makes is not needed any more once the model is at the Loop. */
  readonly servesUpload: boolean
  /** What is on the disk of this host if it is done; what it does at the Loop is done for all hosts. */
  readonly results: 'at-loop' | ((training: TrainingRun) => readonly string[])
  /**
   * Reads record and disk, does what is missing, and answers what the record keeps. It may be run again at any time, after
   * any kill.
   */
  readonly run: (context: StageContext, deps: StageDeps) => Promise<Readonly<Record<string, unknown>>>
}

export type Stages = Readonly<Record<StageName, Stage>>

/** What showing a state writes to the record; each state begins without a progress of its own. */
export function showing(state: TrainerState | null): { state?: TrainerState; progress?: null } {
  return state === null ? {} : { state, progress: null }
}
