import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { silentLogger } from '../../src/base/logger/logger.js'
import { startRedisServer } from '../../src/queue/embedded-redis/redis-server.js'
import { type CliProcess, startCli } from '../../test/helpers/cli-process.js'
import { basicEnvironment } from './measured-child.js'

/** Our side as a user has it: Redis, a trainer node and, if wanted, a worker, each a process of its own. */
export type FleetProcess = {
  readonly redisUrl: string
  readonly redisPid: number
  readonly trainer: CliProcess
  readonly worker: CliProcess | undefined
  /** The worker's data folder. */
  readonly dataFolder: string
  end(): Promise<void>
}

export type FleetProcessOptions = {
  readonly folder: string
  /** Host and port of the Loop. */
  readonly host: string
  readonly seats?: number
  readonly withWorker: boolean
  /** Which of bench/trainers. */
  readonly trainer?: 'no-op' | 'busy'
}

export async function startFleet(options: FleetProcessOptions): Promise<FleetProcess> {
  const { folder, host, seats = 1, withWorker, trainer: name = 'no-op' } = options
  const definition = fileURLToPath(new URL(`../trainers/${name}/trainer.yaml`, import.meta.url))
  await mkdir(folder, { recursive: true })
  const dataFolder = join(folder, 'worker')
  const redis = await startRedisServer({ folder: join(folder, 'redis') }, { log: silentLogger() })
  const started: CliProcess[] = []
  const end = async () => {
    await Promise.all(started.map((part) => part.end()))
    await redis.close()
  }
  const start = async (...args: [string, ...string[]]) => {
    const env = { ...basicEnvironment(), REDIS_URL: redis.url, LOOP_HOST: host, LOOPFLEET_HOST_NAME: 'bench' }
    const part = await startCli({ args, env, logFile: join(folder, `${args[0]}.log`) })
    started.push(part)
    return part
  }
  try {
    const data = ['--data', join(folder, 'node')]
    const trainer = await start('trainer', definition, '--seats', String(seats), ...data)
    const workerArgs = ['--trainer', definition, '--gpus', 'none', '--data', dataFolder]
    const worker = withWorker ? await start('worker', ...workerArgs) : undefined
    return { redisUrl: redis.url, redisPid: redis.pid, trainer, worker, dataFolder, end }
  } catch (error) {
    await end()
    throw error
  }
}
