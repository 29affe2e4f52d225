import { join } from 'node:path'
import { InvalidInputError } from '../../base/errors.js'
import { hostEnvironment } from '../../config/handed-environment.js'
import type { Converter } from '../../executors/converter.js'
import type { TrainerDefinition } from '../../executors/definition.js'
import { lockFolder } from '../../process/folder-lock.js'
import { parseRedisUrl } from '../../queue/redis-url.js'
import type { Closers } from '../closers.js'
import { readConverters } from '../compose/converters.js'
import { readTrainer } from '../compose/trainers.js'
import { type CliContext, dataFolder } from '../context.js'
import { startPart } from '../parts.js'
import { type ReadyFacts, sayReady } from '../ready-line.js'
import { runUntilAsked } from '../run-until-asked.js'
import { type KeptPart, keepRunning, textFact } from './keep-running.js'

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
  await runUntilAsked(async (context, closers) => {
    try {
      const trainers = await Promise.all(flags.trainer.map((file) => readTrainer(file, context)))
      assertNamesDiffer(trainers)
      const converters = await readConverters(flags.converter, context)
      if (trainers.length + converters.length === 0) {
        throw new InvalidInputError('There is nothing to do: give --trainer FILE or --converter FILE.')
      }
      sayReady('up', await startAll({ trainers, converters }, flags, context, closers))
      return {}
    } catch (error) {
      if (context.signal.aborted) return {} // asked to end while starting
      throw error
    }
  })
}

type Definitions = { readonly trainers: readonly TrainerDefinition[]; readonly converters: readonly Converter[] }

async function startAll(
  { trainers, converters }: Definitions,
  flags: UpFlags,
  context: CliContext,
  closers: Closers,
): Promise<ReadyFacts> {
  const { log, signal, environment } = context
  const folder = dataFolder(flags.data, environment)
  const lock = await lockFolder(folder, 'up')
  closers.add('folder lock', () => lock.release())

  const inherited = Object.fromEntries(Object.entries(hostEnvironment()).filter(isSet))
  const start = async (part: PartPlan): Promise<KeptPart> => {
    const { name, label = name, args, redisUrl } = part
    const env = { ...inherited, DATA_FOLDER: folder, ...(redisUrl === undefined ? {} : { REDIS_URL: redisUrl }) }
    const startOnce = (signal: AbortSignal) =>
      startPart({ name, label, args: args(), env, logFolder: join(folder, 'logs') }, { log, signal })
    const kept = await keepRunning(
      { label, exitsToRestart: name === 'trainer' || name === 'converter' },
      { start: startOnce, log, signal },
    )
    closers.add(label, () => kept.close())
    return kept
  }

  const redisUrl = environment.REDIS_URL ?? textFact((await start({ name: 'redis', args: () => [] })).first, 'url')
  for (const trainer of trainers) {
    const args = [trainer.file, '--seats', String(flags.seats)]
    await start({ name: 'trainer', label: `trainer-${trainer.name}`, args: () => args, redisUrl })
  }
  for (const [index, converter] of converters.entries()) {
    const args = [flags.converter[index] ?? '', '--no-worker']
    await start({ name: 'converter', label: `converter-${converter.name}`, args: () => args, redisUrl })
  }
  const worker = await start({ name: 'worker', args: () => workerArgs(trainers, flags), redisUrl })
  let port = flags.port
  const dashboardArgs = () => ['--port', String(port), '--host', flags.host]
  const dashboard = await start({ name: 'dashboard', args: dashboardArgs, redisUrl })
  const url = textFact(dashboard.first, 'url')
  port = Number(new URL(url).port) || port // a free one that was taken is kept when it is started again
  return {
    dashboard: url,
    redis: parseRedisUrl(redisUrl).shown,
    loop: environment.LOOP_HOST,
    host: textFact(worker.first, 'hostId'),
    trainers: trainers.map((trainer) => trainer.name).join(','),
    converters: converters.map((converter) => converter.name).join(','),
    logs: join(folder, 'logs'),
  }
}

type PartPlan = {
  readonly name: string
  readonly label?: string
  readonly args: () => readonly string[]
  readonly redisUrl?: string
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
