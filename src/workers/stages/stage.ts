import type { Logger } from '../../base/logger.js'
import type { GpuFigures } from '../../executors/gpu/probe.js'
import type { OutputAudience, OutputWatchDeps } from '../../executors/output-watch.js'
import type { InferencePool, InferencePoolOptions } from '../../inference/pool.js'
import type { ImageExchange } from '../../loop/client/image-exchange.js'
import type { ModelExchange } from '../../loop/client/model-exchange.js'
import type { LoopRest } from '../../loop/client/rest.js'
import type { Dialect } from '../../loop/protocol/index.js'
import type { UploadedModelName } from '../../queue/conversions.js'
import type { StepProgress } from '../../queue/job-schemas.js'
import type { Journal } from '../../queue/journal.js'
import type { TrainingRun } from '../training-run.js'
import type { WarningKey } from '../warnings.js'

/** What a stage works with; handed in once when the worker is built. */
export type StageDeps = {
  readonly images: ImageExchange
  readonly models: ModelExchange
  readonly rest: LoopRest
  readonly journal: Journal
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
  /** Aborted by stop (where it matters), abort, shutdown, or when another host took over; the reason tells which. */
  readonly signal: AbortSignal
  readonly log: Logger
  /** Progress of the step's job and, as 0..1, of the training; passed on at most twice a second. */
  progress(progress: Partial<StepProgress>): void
  /** A line for people, in the job's log and the training's. */
  say(line: string): void
  /** A warning, once, in all logs and at the Loop, which sees it under this key until the training is over. */
  warn(key: WarningKey, message: string): void
  /** Follows the output of the stage's programs, for the same logs. */
  readonly audience: OutputAudience
}

/**
 * One step of a training: looks at journal and disk, does what is missing, and answers what the journal keeps.
 * It may be run again at any time, after any kill.
 */
export type Stage = (context: StageContext, deps: StageDeps) => Promise<Readonly<Record<string, unknown>>>
