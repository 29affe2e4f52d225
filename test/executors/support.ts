import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { silentLogger } from '../../src/base/logger/logger.js'
import type { TrainerEvent } from '../../src/executors/contract/events.js'
import { writeWorkspace } from '../../src/executors/contract/workspace.js'
import { parseTrainerDefinition, type TrainerDefinition } from '../../src/executors/definition/definition.js'
import { type RunningTraining, startTraining } from '../../src/executors/training/training-program.js'
import { type Category, categorySchema, type TrainingOrder } from '../../src/loop/protocol/index.js'

export const fixtures = fileURLToPath(new URL('../fixtures', import.meta.url))
export const trainers = join(fixtures, 'trainers')

export function category(id: string, name = id, more: Partial<Category> = {}): Category {
  return categorySchema.parse({ id, name, type: 'box', ...more })
}

export function makeOrder(more: Partial<TrainingOrder> = {}): TrainingOrder {
  return {
    dialect: 'current',
    organization: 'acme',
    project: 'demo',
    trainingNumber: 7,
    categories: [category('c1', 'box "big"'), category('c2', 'point')],
    baseModel: { kind: 'none' },
    modelVariant: '',
    hyperparameters: {},
    ...more,
  }
}

/** A trainer file in a few words; what is not named is as small as it may be. */
export function makeDefinition(yaml: string, file = join(trainers, 'programs', 'trainer.yaml')): TrainerDefinition {
  const text = `name: test\nformat: mocked\ndataset: raw\nupload: {mocked: [model.bin]}\n${yaml}`
  return { ...parseTrainerDefinition(text, file), folder: dirname(file), file }
}

export type StartOptions = {
  readonly definition: TrainerDefinition
  readonly workspace: string
  readonly order?: TrainingOrder
  readonly resume?: boolean
  readonly gpus?: readonly number[]
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly say?: (line: string) => void
}

/** Writes the workspace and starts the program in it, as the train stage does. */
export async function start(options: StartOptions): Promise<RunningTraining> {
  const { definition, workspace, order = makeOrder(), resume = false, gpus = [] } = options
  const { dataset } = definition
  await writeWorkspace({ folder: workspace, order, training: { id: 't1' }, dataset, resume })
  const env = options.env ?? { PATH: process.env.PATH }
  const what = { definition, workspace, order, resume, gpus, env, owner: `test:${process.pid}:t1.1`, graceMs: 2000 }
  return startTraining(what, { log: silentLogger(), ...(options.say && { say: options.say }) })
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

/** What the program told until its end, without progress, of which some may be left out. */
export async function allEvents(training: RunningTraining): Promise<TrainerEvent[]> {
  return (await collect(training.events)).filter((event) => event.event !== 'progress')
}
