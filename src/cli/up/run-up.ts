import { join } from 'node:path'
import { type Closers, InvalidInputError } from '../../base/index.js'
import { hostEnvironment } from '../../config/index.js'
import type { TrainerDefinition } from '../../executors/definition/index.js'
import type { Converter } from '../../executors/program/index.js'
import { lockFolder } from '../../process/folder-lock/index.js'
import { parseRedisUrl } from '../../queue/redis-basics/index.js'
import { readConverters } from '../compose/converters.js'
import { readTrainer } from '../compose/trainers.js'
import { type CliContext, dataFolder } from '../context.js'
import { startPart } from '../parts.js'
import { type ReadyFacts, sayReady } from '../ready-line.js'
import { runUntilAsked } from '../run-until-asked.js'
import { createKeptPart, type KeptPart } from './kept-part.js'

export type UpFlags = {
  readonly trainer: readonly string[]
  readonly converter: readonly string[]
  readonly seats: number
  readonly data?: string
  readonly gpus?: readonly string[]
  readonly places?: number
  readonly port: number
  readonly host: string
}

/** A whole node of the Loop on this machine: Redis, trainer and converter nodes, one worker for all of them, and the dashboard. */
export async function runUp(flags: UpFlags): Promise<void> {
  await runUntilAsked(
    async (context, closers) => {
      const trainers = await Promise.all(flags.trainer.map((file) => readTrainer(file, context)))
      assertNamesDiffer(trainers)
      const converters = await readConverters(flags.converter, context)
      if (trainers.length + converters.length === 0) {
        throw new InvalidInputError('There is nothing to do: give --trainer FILE or --converter FILE.')
      }
      sayReady('up', await startAll({ trainers, converters }, flags, context, closers))
      return {}
    },
    { DATA_FOLDER: { option: '--data', value: flags.data } },
  )
}

type Definitions = { readonly trainers: readonly TrainerDefinition[]; readonly converters: readonly Converter[] }

async function startAll(
  { trainers, converters }: Definitions,
  flags: UpFlags,
  context: CliContext,
  closers: Closers,
): Promise<ReadyFacts> {
  const { log, environment, signal } = context
  const folder = dataFolder(flags.data, environment)
  const lock = await lockFolder(folder, 'up')
  closers.add('folder lock', () => lock.release())

  const inherited = Object.fromEntries(Object.entries(hostEnvironment()).filter(isSet))
  let redisUrl = environment.REDIS_URL
  const keep = ({ name, label = name, args }: PartPlan): KeptPart => {
    const env = { ...inherited, DATA_FOLDER: folder, ...(redisUrl === undefined ? {} : { REDIS_URL: redisUrl }) }
    const start = (until: AbortSignal) =>
      startPart({ name, label, args: args(), env, logFolder: join(folder, 'logs') }, { log, signal: until })
    return createKeptPart({ label, exitsToRestart: name === 'trainer' || name === 'converter' }, { start, log })
  }

  if (redisUrl === undefined) {
    const redis = keep({ name: 'redis', args: () => [] })
    closers.add('redis', () => redis.stop())
    await redis.start({ signal })
    redisUrl = redis.fact('url')
  }
  let port = flags.port
  const worker = keep({ name: 'worker', args: () => workerArgs(trainers, flags) })
  const dashboard = keep({ name: 'dashboard', args: () => ['--port', String(port), '--host', flags.host] })
  const nodes = nodePlans({ trainers, converters }, flags).map(keep)
  const parts = [worker, dashboard, ...nodes]
  // Side by side, since all of them have to end within the same 9 s; Redis, to which they say goodbye, ends after them.
  closers.add('parts', () => Promise.all(parts.map((part) => part.stop())))
  // Side by side, since a node waits for the Loop, and the worker and the dashboard need none.
  await Promise.all(parts.map((part) => part.start({ signal })))
  const url = dashboard.fact('url')
  port = Number(new URL(url).port) || port // a free one that was taken is kept when it is started again
  return {
    dashboard: url,
    redis: parseRedisUrl(redisUrl).shown,
    loop: environment.LOOP_HOST,
    host: worker.fact('hostId'),
    trainers: trainers.map((trainer) => trainer.name).join(','),
    converters: converters.map((converter) => converter.name).join(','),
    logs: join(folder, 'logs'),
  }
}

type PartPlan = {
  readonly name: string
  readonly label?: string
  readonly args: () => readonly string[]
}

function nodePlans({ trainers, converters }: Definitions, flags: UpFlags): PartPlan[] {
  return [
    ...trainers.map(({ name, file }) => {
      const args = [file, '--seats', String(flags.seats)]
      return { name: 'trainer', label: `trainer-${name}`, args: () => args }
    }),
    ...converters.map(({ name }, index) => {
      const args = [flags.converter[index] ?? '', '--no-worker']
      return { name: 'converter', label: `converter-${name}`, args: () => args }
    }),
  ]
}

function workerArgs(trainers: readonly TrainerDefinition[], { gpus, places, converter }: UpFlags): string[] {
  const args = trainers.flatMap((trainer) => ['--trainer', trainer.file])
  args.push(...converter.flatMap((file) => ['--converter', file]))
  if (gpus !== undefined) args.push('--gpus', gpus.length === 0 ? 'none' : gpus.join(','))
  if (places !== undefined) args.push('--places', String(places))
  return args
}

function assertNamesDiffer(trainers: readonly TrainerDefinition[]): void {
  const seen = new Map<string, string>()
  for (const { name, file } of trainers) {
    const other = seen.get(name)
    if (other !== undefined) {
      throw new InvalidInputError(`Two trainers have the name "${name}" (${other} and ${file}); rename one of them.`)
    }
    seen.set(name, file)
  }
}

function isSet(entry: [string, string | undefined]): entry is [string, string] {
  return entry[1] !== undefined
}
