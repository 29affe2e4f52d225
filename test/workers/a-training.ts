import { silentLogger } from '../../src/base/logger/logger.js'
import type { TrainerDefinition } from '../../src/executors/definition/definition.js'
import { trainerDefinitionSchema } from '../../src/executors/definition/definition-schema.js'
import type { TrainingOrder } from '../../src/loop/protocol/index.js'
import type { Stage as StageName } from '../../src/queue/jobs/names.js'
import type { TrainingProgressFields, TrainingRecord } from '../../src/queue/trainings/training-record.js'
import { createEarlierStarts } from '../../src/workers/trainings/earlier-starts.js'
import { allStages } from '../../src/workers/trainings/pipeline.js'
import type { Stage, Stages } from '../../src/workers/trainings/stages/stage.js'
import { createStopSwitch } from '../../src/workers/trainings/stop-switch.js'
import type { TrainingRun } from '../../src/workers/trainings/training-run.js'
import { workspacePaths } from '../../src/workers/workspaces/workspace-paths.js'
import { anOrder, seatA } from '../queue/orders.js'

/** A trainer that converts and detects, as far as the pipeline asks. */
export function aDefinition(change: Record<string, unknown> = {}): TrainerDefinition {
  const file = trainerDefinitionSchema.parse({
    name: 'quick',
    format: 'mocked',
    dataset: 'raw',
    train: { scratch: ['python', 'train.py'] },
    convert: [{ format: 'onnx', command: ['python', 'export.py'] }],
    upload: { mocked: ['model.bin'], onnx: ['model.onnx'] },
    detect: { backend: 'onnx', format: 'onnx' },
    ...change,
  })
  return { ...file, folder: '/trainers/quick', file: '/trainers/quick/trainer.yaml' }
}

export function aRecord(change: Partial<TrainingRecord> = {}): TrainingRecord {
  return {
    id: 'training1',
    trainer: 'quick',
    life: 'waiting',
    requires: { gpus: 0 },
    protocol: 2,
    avoid: [],
    held: null,
    failures: 0,
    failedAttempts: [],
    order: anOrder(),
    seat: seatA,
    createdAt: 1_000_000,
    startedAt: null,
    updatedAt: 1_000_000,
    endedAt: null,
    endAckedAt: null,
    outcome: null,
    state: 'initialized',
    progress: null,
    errors: {},
    run: 1,
    hostId: 'host-a',
    workerPid: 11,
    fruitlessRuns: 0,
    steps: {},
    trainImageCount: null,
    testImageCount: null,
    skippedImageCount: null,
    models: {},
    modelId: null,
    modelVersion: null,
    best: null,
    stopRequested: false,
    facts: {},
    ...change,
  }
}

export type TrainingOfTest = {
  readonly training: TrainingRun
  /** As the journal has it. */
  record: TrainingRecord
  /** What was written to the journal, in order. */
  readonly updates: Partial<TrainingProgressFields>[]
  /** What its log has. */
  readonly lines: string[]
  /** Makes every further write and check fail, as a newer run does. */
  supersede(error: Error): void
}

/** A run whose journal is a plain object. */
export function aTraining(options: {
  readonly dataFolder: string
  readonly definition?: TrainerDefinition
  readonly record?: Partial<TrainingRecord>
  readonly order?: TrainingOrder
}): TrainingOfTest {
  const { dataFolder, definition = aDefinition(), order = anOrder() } = options
  let superseded: Error | undefined
  const fence = async () => {
    if (superseded !== undefined) throw superseded
  }
  const test = {
    record: aRecord({ order, ...options.record }),
    updates: [] as Partial<TrainingProgressFields>[],
    lines: [] as string[],
    supersede(error: Error) {
      superseded = error
    },
  }
  const paths = workspacePaths(dataFolder, order, test.record.id)
  const unused = () => Promise.reject(new Error('not part of this test'))
  const training: TrainingRun = {
    id: test.record.id,
    run: test.record.run,
    hostId: 'host-a',
    owner: 'host-a:11:training1.1',
    programEnv: {},
    order,
    seat: seatA,
    definition,
    paths,
    stopSwitch: createStopSwitch(),
    modelSets: {
      add: unused,
      markSynced: unused,
      list: async () => [],
      lastSynced: async () => undefined,
      reload: () => undefined,
    },
    metricsSync: { push: () => undefined, flush: unused },
    get taken() {
      return test.record
    },
    log: silentLogger(),
    output: {
      write: (...lines) => void test.lines.push(...lines),
      lose: () => undefined,
      flush: () => undefined,
      close: async () => undefined,
      offPatterns: new Set(),
    },
    starts: createEarlierStarts(test.record, { update: async () => undefined, log: silentLogger() }),
    lease: undefined,
    changeGpus: async () => false,
    reached: () => undefined,
    placeLending: undefined,
    record: async () => test.record,
    async update(patch) {
      await fence()
      test.updates.push(patch)
      Object.assign(test.record, patch)
    },
    addPoints: async () => undefined,
    checkFence: fence,
  }
  return Object.assign(test, { training })
}

/** A journal's note that a stage is done, here or on another host. */
export function aStep(hostId = 'host-a', result: unknown = {}) {
  return { hostId, seconds: 1, result, at: 1_000_000 }
}

/** All stages as they are, but with the work of the test. */
export function stagesThat(work: (name: StageName) => Stage['run']): Stages {
  const all = Object.values(allStages).map((stage) => [stage.name, { ...stage, run: work(stage.name) }])
  return Object.fromEntries(all)
}

/** A promise that the test settles. */
export function aPromise() {
  let resolve: (value?: unknown) => void = () => undefined
  let reject: (error: Error) => void = () => undefined
  const promise = new Promise<unknown>((onResolve, onReject) => {
    resolve = onResolve
    reject = onReject
  })
  return { promise, resolve, reject }
}
