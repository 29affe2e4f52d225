import { join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import type { Closers } from '../../../src/base/closers.js'
import { silentLogger } from '../../../src/base/logger/logger.js'
import { createService, type Service } from '../../../src/base/service.js'
import { type FleetLink, openFleetLink } from '../../../src/cli/compose/fleet-link.js'
import { openLoopClient } from '../../../src/cli/compose/loop-client.js'
import { openTrainerHttp } from '../../../src/cli/compose/trainer-http.js'
import { startWorker } from '../../../src/cli/compose/worker.js'
import type { CliContext } from '../../../src/cli/context.js'
import { startPart } from '../../../src/cli/parts.js'
import { createKeptPart } from '../../../src/cli/up/kept-part.js'
import { loadEnvironment } from '../../../src/config/load.js'
import { createDashboard } from '../../../src/dashboard/dashboard.js'
import { createDetectorServer } from '../../../src/detector/server/detector-server.js'
import type { Detector } from '../../../src/detector/serving/detector.js'
import type { TrainerDefinition } from '../../../src/executors/definition/definition.js'
import { openGpuWatch } from '../../../src/executors/gpu/gpu-watch.js'
import { createInferencePool, createProcessPool } from '../../../src/inference/pool/pool.js'
import { paths } from '../../../src/loop/protocol/index.js'
import { startLocalLoop } from '../../../src/mock/loop/index.js'
import { createOutputThread } from '../../../src/process/output/output-thread.js'
import { startRedisServer } from '../../../src/queue/embedded-redis/redis-server.js'
import { createTrainings } from '../../../src/queue/trainings/trainings.js'

const log = silentLogger()
const ADDRESS = { port: 0, host: '127.0.0.1' }
const MODEL = fileURLToPath(new URL('../../fixtures/onnx/constant-yolov5.onnx', import.meta.url))

export type CommandPartsDeps = {
  readonly folder: string
  readonly loopHost: string
  readonly redisUrl: string
  readonly fleet: FleetLink
  readonly trainer: TrainerDefinition
  readonly detector: () => Detector
}

export const commandPartNames = [
  'link to Redis',
  'session with the Loop',
  'embedded Redis',
  'local Loop',
  'dashboard',
  'detector server',
  'endpoints of a trainer node',
  'worker command',
  'GPU watch',
  'output thread',
  'watch for changes of trainings',
  'inference pool',
  'inference process',
  'part of up',
] as const
export type CommandPartName = (typeof commandPartNames)[number]

/** What commands open and close, each as a service of its own that opens it as its command does. */
export function commandParts(deps: CommandPartsDeps): Readonly<Record<CommandPartName, () => Service>> {
  const { folder, fleet } = deps
  const { environment } = loadEnvironment({
    REDIS_URL: deps.redisUrl,
    LOOP_HOST: deps.loopHost,
    LOOPFLEET_HOST_NAME: 'contract',
    USE_BACKDOOR_CONTROLS: '1',
  })

  const opened = (open: (context: CliContext, closers: Closers) => Promise<unknown>) => () =>
    createService(
      'part of a command',
      async (signal, closers) => void (await open({ environment, log, signal }, closers)),
      { log },
    )

  return {
    'link to Redis': opened(async (context, closers) => {
      const { queues } = await openFleetLink(context, closers)
      queues.consume('contract', async () => undefined, { schema: z.object({}) })
    }),
    'session with the Loop': opened(async (context, closers) => {
      const { session } = openLoopClient(context, closers, folder)
      await session.request({ method: 'GET', path: paths.status(), signal: context.signal })
    }),
    'embedded Redis': opened(async ({ signal }, closers) => {
      const redis = await startRedisServer({ folder: join(folder, 'redis') }, { log, signal })
      closers.add('redis', () => redis.close())
    }),
    'local Loop': opened(async (_context, closers) => {
      const loop = await startLocalLoop({ folder: join(folder, 'another-loop') }, { log })
      closers.add('local Loop', () => loop.close())
    }),
    dashboard: opened(async (_context, closers) => {
      const dashboard = createDashboard({ port: 0 }, { ...fleet, log })
      closers.add('dashboard', () => dashboard.close())
      await dashboard.listen()
    }),
    'detector server': opened(async (_context, closers) => {
      const server = await createDetectorServer(
        { dialect: 'current', version: '0.1.0' },
        { detector: deps.detector(), log },
      )
      closers.add('detector server', () => server.close())
      await server.listen(ADDRESS)
    }),
    'endpoints of a trainer node': opened(async (context, closers) => {
      const http = await openTrainerHttp(ADDRESS, { closers, context })
      const nothing = { setOnline: async () => undefined, reset: async () => undefined, sendStatus: () => undefined }
      await http.serve({ ...nothing, whyNotReady: () => undefined }, { fleet, uuids: ['a seat'] })
    }),
    'worker command': opened((context, closers) => {
      const settings = { folder: join(folder, 'worker'), trainers: [deps.trainer], gpus: undefined, places: 1 }
      return startWorker(settings, context, { closers, fleet, loop: openLoopClient(context, closers, folder) })
    }),
    'GPU watch': opened(async ({ signal }, closers) => {
      const read = async () => ({ state: 'none', reason: 'a test' }) as const
      const options = { limits: {}, retryMs: 5, figuresEveryMs: 5 }
      const watch = await openGpuWatch(options, { read, probe: { read: async () => null }, log, signal })
      closers.add('GPU watch', () => watch.close())
    }),
    'output thread': opened(async (_context, closers) => {
      const thread = createOutputThread({ log })
      closers.add('output thread', () => thread.close())
      const reader = thread.open({ patterns: [], onMatch: () => undefined, onMiss: () => undefined })
      closers.add('reader', () => reader.finish())
      await reader.feed(Buffer.from('a line\na line without its end'))
    }),
    'watch for changes of trainings': opened(async (_context, closers) => {
      const watch = await createTrainings(fleet.link, {}, { log }).watch(() => undefined)
      closers.add('trainings', () => watch.close())
    }),
    'inference pool': opened(async ({ signal }, closers) => {
      const categories = ['a', 'b'].map((name) => ({ id: name, name, type: 'box' }))
      const backend = { kind: 'onnx' as const, modelFile: MODEL, categories }
      const pool = await createInferencePool({ threads: 1, backend }, { log, signal })
      closers.add('pool', () => pool.close())
    }),
    'inference process': opened(async (_context, closers) => {
      const categories = ['a', 'b'].map((name) => ({ id: name, name, type: 'box' }))
      const backend = { kind: 'onnx' as const, modelFile: MODEL, categories }
      const pool = await createProcessPool({ threads: 1, backend }, { log })
      closers.add('pool', () => pool.close())
    }),
    'part of up': () => {
      const env = { PATH: process.env.PATH ?? '' }
      const args = ['--port', '0', '--data', join(folder, 'part')]
      const part = { name: 'loop', args, env, logFolder: join(folder, 'logs') }
      return createKeptPart({ label: 'loop' }, { start: (signal) => startPart(part, { log, signal }), log })
    },
  }
}
