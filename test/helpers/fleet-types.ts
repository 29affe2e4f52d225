import type { Effect, FaultRule, LocalLoop, TrainingRequest } from '../../src/mock/loop/index.js'
import type { EmbeddedRedis } from '../../src/queue/embedded-redis/redis-server.js'
import type { Stage } from '../../src/queue/jobs/names.js'
import type { Queues } from '../../src/queue/jobs/queues.js'
import type { RedisLink } from '../../src/queue/redis/open-redis.js'
import type { TrainingRecord } from '../../src/queue/trainings/training-record.js'
import type { TrainingsOfFleet } from '../../src/queue/trainings/trainings-of-fleet.js'
import type { CliExit, CliProcess, CliRun } from './cli-process.js'

export type FleetOptions = {
  /** A trainer file; the quick trainer (test/fixtures/trainers/quick) by default. */
  readonly trainerFile?: string
  /** More trainer files, for each of which the fleet has a node, and which its workers serve too. */
  readonly moreTrainers?: readonly string[]
  /** Folder that is put in front of the PATH of the workers, for a program that stands in for nvidia-smi. */
  readonly pathInFront?: string
  /** The whole PATH of the workers. */
  readonly path?: string
  /** What `worker --gpus` gets: `none` (the CPU slot) by default, `all` leaves the flag out. */
  readonly gpus?: string
  /** Trainings that a worker works on at the same time. */
  readonly places?: number
  /** Instead of the embedded Redis, for the parts and for the test. */
  readonly redisUrl?: string
  readonly lockMs?: number
  readonly seats?: number
  /** More options of the trainer node. */
  readonly trainerFlags?: readonly string[]
  readonly threads?: number
  /** What the nodes send; `current` by default. */
  readonly dialect?: '0.8' | 'current'
  /** Without it one worker is started, on data folder `a`. */
  readonly workers?: readonly string[]
  readonly project?: Partial<Parameters<LocalLoop['generate']>[0]>
  /** What the Loop asks its nodes for; without it nobody needs to log in. */
  readonly login?: { readonly username: string; readonly password: string }
  /** More variables of trainer node and workers. */
  readonly env?: Readonly<Record<string, string>>
  /** Stands between the nodes and the Loop, whose host it is given. */
  readonly through?: (loopHost: string) => Promise<{ readonly host: string; close(): Promise<void> }>
}

/** What a test waits for: the Loop's view of the latest training, or the journal's. */
export type FleetCondition = {
  /** A state the training has had (also for a moment), in the current spelling. */
  readonly state?: string
  /** The best model is of this epoch or a later one. */
  readonly epoch?: number
  /** The Loop has taken this format of its model. */
  readonly upload?: string
  /** The Loop has taken the detections of so many images. */
  readonly detections?: number
  /** The training has ended and its seat is idle again. */
  readonly ended?: boolean
}

export type FleetWorker = CliProcess & { readonly data: string; readonly hostId: string; readonly folder: string }

/**
 * A whole fleet for a test: Redis and local Loop in this process, trainer node and workers as real processes of the
 * compiled program, all in one temporary folder. `close` ends everything and fails when anything is left.
 */
export type Fleet = {
  readonly id: string
  readonly folder: string
  readonly organization: string
  readonly project: string
  readonly loop: LocalLoop
  readonly redis: EmbeddedRedis
  readonly link: RedisLink
  /** The trainings, whichever engine works on them. */
  readonly journal: TrainingsOfFleet
  readonly queues: Queues
  readonly trainer: CliProcess
  /** What its command is given. */
  readonly trainerArgs: readonly string[]
  /** The workers that live, the newest last. */
  readonly workers: readonly FleetWorker[]
  /** Makes another project of drawn images; the fleet has one from the start. */
  generate(config: Parameters<LocalLoop['generate']>[0]): Promise<unknown>
  /** Orders a training as the Loop would; throws when the trainer refuses. Answers its number. */
  order(request?: TrainingRequest): Promise<number>
  /** Waits for the latest training (20 s unless told otherwise); the failure tells where everything was. */
  until(condition: FleetCondition, withinMs?: number): Promise<void>
  stop(): Promise<void>
  abort(): Promise<void>
  /** The latest training as the Loop shows it. */
  seen(): NonNullable<ReturnType<LocalLoop['training']>>
  /** The latest training in the journal. */
  record(): Promise<TrainingRecord>
  /** The states of the latest training at the Loop, each once, in the order of their first appearance. */
  states(): string[]
  effects(kind: Effect['kind']): readonly Effect[]
  /** How often the Loop took each format of the latest training's model. */
  uploads(): Record<string, number>
  /** Images with detections of the latest training's model, and how often the Loop took each. */
  detectionCounts(): Record<string, number>
  /** Makes the Loop wait before it does what fits, again and again until it is released. */
  hold(match: FaultRule['match'], delayMs?: number): Hold
  /** BullMQ's job of a step of the newest run (or of the given one) of the latest training. */
  step(stage: Stage, run?: number): ReturnType<Queues['job']>
  workspace(worker?: FleetWorker): Promise<string>
  /** What the quick trainer wrote down at each start in the latest training's workspace. */
  starts(worker?: FleetWorker): Promise<readonly QuickStart[]>
  /** `gpus` and `pathInFront` instead of the fleet's. */
  startWorker(options?: {
    readonly data?: string
    readonly gpus?: string
    readonly pathInFront?: string
  }): Promise<FleetWorker>
  /** Runs a worker that is not expected to become ready. */
  runWorker(options: { readonly data: string; readonly gpus?: string }): Promise<CliRun>
  startTrainer(): Promise<CliProcess>
  /** Sends a signal to the newest worker (or the given one) alone and waits for its end. */
  killWorker(signal: NodeJS.Signals, worker?: FleetWorker): Promise<CliExit>
  /** As when the host dies: the worker, its programs and their guards, all at the same time. */
  killTree(worker?: FleetWorker): Promise<void>
  /** Programs of this fleet (or of one host) that live: training, conversion and detection, with their children; no preflights. */
  programs(worker?: FleetWorker): Promise<number[]>
  /** Any command of the program against this fleet. */
  run(...args: [string, ...string[]]): Promise<CliRun>
  close(): Promise<void>
}

export type Hold = {
  /** Resolves when the first request waits. */
  reached(): Promise<void>
  release(): void
}

export type QuickStart = {
  readonly pid: number
  readonly resume: boolean
  readonly first_epoch: number
  readonly base_model: { readonly folder: string } | null
  readonly gpus: string | null
}
