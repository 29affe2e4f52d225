import { randomUUID } from 'node:crypto'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { removeTree } from '../../../src/base/files.js'
import { silentLogger } from '../../../src/base/logger/logger.js'
import type { Service } from '../../../src/base/service.js'
import { createModelKeeper } from '../../../src/detector/models/keeper.js'
import { createModelDownload } from '../../../src/detector/models/model-download.js'
import { createOutbox } from '../../../src/detector/outbox/outbox.js'
import { createRelevanceFilter } from '../../../src/detector/relevance/relevance-filter.js'
import { createDetector } from '../../../src/detector/serving/detector.js'
import { createSlots } from '../../../src/executors/gpu/slots.js'
import { loadConverter } from '../../../src/executors/plugin/load-converter.js'
import { loadTrainer } from '../../../src/executors/plugin/load-trainer.js'
import { createImageExchange } from '../../../src/loop/client/images/image-exchange.js'
import { createImageUpload } from '../../../src/loop/client/images/image-upload.js'
import { createModelExchange } from '../../../src/loop/client/models/model-exchange.js'
import { createLoopRest } from '../../../src/loop/client/session/rest.js'
import { createLoopSession } from '../../../src/loop/client/session/session.js'
import { createLoopSocket, type LoopSocketOptions } from '../../../src/loop/client/socket/socket.js'
import { startLocalLoop } from '../../../src/mock/loop/index.js'
import { createAnnotatorNode } from '../../../src/nodes/annotator/annotator-node.js'
import { createConverterNode } from '../../../src/nodes/converter/converter-node.js'
import { createDetectorNode } from '../../../src/nodes/detector/detector-node.js'
import { createTrainerNode } from '../../../src/nodes/trainer/trainer-node.js'
import { createOutputThread } from '../../../src/process/output/output-thread.js'
import { createConversions } from '../../../src/queue/conversions/conversions.js'
import { createFleet } from '../../../src/queue/fleet/fleet.js'
import { queueNames } from '../../../src/queue/jobs/names.js'
import { createQueues } from '../../../src/queue/jobs/queues.js'
import { createChangeFeed } from '../../../src/queue/records/change-feed.js'
import { createLeaseKeeper } from '../../../src/queue/records/lease-keeper.js'
import { createLeases } from '../../../src/queue/records/leases.js'
import { createBackdoor } from '../../../src/queue/redis/backdoor.js'
import { createTrainings } from '../../../src/queue/trainings/trainings.js'
import { createEngine } from '../../../src/workers/engine/engine.js'
import { toWork } from '../../../src/workers/engine/pipeline.js'
import { createWorker } from '../../../src/workers/worker.js'
import type {} from '../../../src/workers/worker-options.js'
import { modelDownload, startModelLoop } from '../../detector/models/model-loop.js'
import { buildDouble, FORMAT } from '../../detector/models/pool-double.js'
import { until } from '../../helpers/until.js'
import { startRedisFixture } from '../../queue/redis-fixture.js'
import { commandPartNames, commandParts } from './command-parts.js'
import { watchSharedThings } from './shared-things.js'

const mock = (what: string) => fileURLToPath(new URL(`../../../src/mock/nodes/mock-${what}.js`, import.meta.url))
const PLACE = { organization: 'zauberzeug', project: 'shapes' }
const silent = silentLogger()

/** A service, with work that it can be asked for while it runs. */
export type WorkingService = Service & { readonly beginWork?: () => Promise<unknown> }

/** One Loop and one Redis that stay open, and services on them. */
export type World = {
  /** A service that was not started, and how to close the session with the Loop that only it has used. */
  create(name: ServiceName): { readonly service: WorkingService; closeSession(): void }
  /** What is on the things that all services share, each with a sentence part that names it. */
  shared(): Promise<string[]>
  close(): Promise<void>
}

export const serviceNames = [
  'Loop socket',
  'trainer node',
  'converter node',
  'annotator node',
  'detector node',
  'detector node of dialect 0.8',
  'detector',
  'models of a detector',
  'outbox',
  'worker',
  'change feed',
  'lease keeper',
  'steps of a host',
  'engine',
  ...commandPartNames,
] as const
export type ServiceName = (typeof serviceNames)[number]
export const workingServiceNames = ['detector', 'models of a detector', 'outbox'] as const

export async function startWorld(): Promise<World> {
  const folder = await mkdtemp(join(tmpdir(), 'loopfleet-services-'))
  const redis = await startRedisFixture()
  const loop = await startLocalLoop({ folder: join(folder, 'loop') }, { log: silent })
  await loop.generate({ project_name: PLACE.project, complete: 2, box_categories: 1 })
  const trainer = await loadTrainer(mock('trainer'), { env: process.env, log: silent })
  const converter = await loadConverter(mock('converter'), { env: process.env, log: silent })
  const outputThread = createOutputThread({ log: silent })
  const things = watchSharedThings(redis.link)
  const { link, log } = things
  const queues = createQueues(link, { log })
  const fleet = createFleet(link)
  const trainings = createTrainings(link, {}, { log })
  const conversions = createConversions(link, {}, { log })
  const idleWork = toWork({
    kind: 'conversion',
    records: conversions.records,
    names: () => [converter.name],
    free: () => 1,
    carryOut: async () => undefined,
  })
  const shared = { queues, trainings, fleet, conversions, log }
  await installModel(join(folder, 'models'))
  const first = create('outbox')
  await first.service.start({ signal: new AbortController().signal })
  await first.service.beginWork?.()
  await first.service.stop()
  first.closeSession()

  function create(name: ServiceName): ReturnType<World['create']> {
    const session = createLoopSession({ host: loop.host }, { log })
    const unreachable = createLoopSession({ host: '127.0.0.1:9' }, { log })
    const rest = createLoopRest(session)
    const images = createImageExchange({ folder }, { rest, session, log })
    const exchange = createModelExchange({ session, log })
    const socket = (nodeType: LoopSocketOptions['nodeType'], place = {}) =>
      createLoopSocket({ nodeType, ...place, reconnectMaxMs: 50 }, { session, log })
    const identity = () => ({ uuid: randomUUID(), name: 'a node' })
    const models = () =>
      createModelKeeper(
        { folder: join(folder, 'models'), format: FORMAT },
        { models: createModelDownload({ ...PLACE, format: FORMAT }, { exchange, rest }), buildPool: buildDouble, log },
      )
    const outbox = () =>
      createOutbox(
        { folder: join(folder, 'outbox') },
        // The image that waits cannot be sent, so that there is something to give up.
        { upload: createImageUpload({ ...PLACE, dialect: 'current' }, { session: unreachable }), log, now: Date.now },
      )
    const detector = () =>
      createDetector(
        { dialect: 'current' },
        {
          open: async () => ({
            models: models(),
            outbox: outbox(),
            filter: createRelevanceFilter(
              { dialect: 'current', minUncertain: 0.3, maxUncertain: 0.6 },
              { now: Date.now },
            ),
          }),
          wipe: async () => undefined,
          log,
          now: Date.now,
        },
      )
    const detectorNode = (dialect: 'current' | '0.8') =>
      createDetectorNode(
        { identity: identity(), ...PLACE, modelFormat: FORMAT, dialect, cycleMs: 10, syncCycles: 1 },
        { detector: detector(), rest, createSocket: () => socket('detector', PLACE), log },
      )

    const worker = () =>
      createWorker(
        {
          hostId: randomUUID(),
          dataFolder: join(folder, 'host'),
          programEnv: process.env,
          trainers: [trainer],
          converters: [converter],
        },
        {
          ...{ ...shared, link },
          slots: createSlots({ gpus: null }),
          gpus: things.gpus,
          sweepOwned: async () => [],
          stageDeps: {
            rest,
            images,
            models: exchange,
            announceUpload: async () => undefined,
            dialect: 'current',
            detectionsPerPost: 10,
            threads: 1,
            gpuFigures: () => null,
            outputThread,
            createPool: () => Promise.reject(new Error('no detection in this test')),
          },
        },
      )
    const services: Readonly<Record<ServiceName, () => WorkingService>> = {
      'Loop socket': () => socket('trainer'),
      'trainer node': () =>
        createTrainerNode(
          {
            identities: [identity(), identity()],
            profile: { name: trainer.name, architecture: null, models: trainer.models },
            dialect: 'current',
            heartbeatMs: 10,
            idleTimeoutMs: 60_000,
          },
          { ...shared, createSocket: () => socket('trainer'), now: Date.now },
        ),
      'converter node': () =>
        createConverterNode(
          {
            identity: identity(),
            profile: { name: converter.name, sourceFormat: 'mocked', targets: [] },
            everyMs: 60_000,
          },
          { ...shared, rest, createSocket: () => socket('converter') },
        ),
      'annotator node': () =>
        createAnnotatorNode(
          { identity: identity(), dialect: 'current', heartbeatMs: 10 },
          {
            createSocket: () => socket('annotation_node'),
            images,
            tool: { createHistory: () => [], handleUserInput: () => ({ svg: '' }) },
            log,
            now: Date.now,
          },
        ),
      'detector node': () => detectorNode('current'),
      'detector node of dialect 0.8': () => detectorNode('0.8'),
      detector: () => withWork(detector(), (one) => one.reset()),
      'models of a detector': () => withWork(models(), (one) => one.setVersionControl('pause')),
      outbox: () => withWork(outbox(), (one) => one.save({ image: { bytes: Buffer.alloc(1000) }, metadata: {} })),
      worker,
      'change feed': () => createChangeFeed(link, {}, { log }),
      'lease keeper': () =>
        createLeaseKeeper(
          { leaseMs: 100 },
          {
            ...{ link, log, held: () => [], onRenewed: () => undefined, onReturned: () => undefined },
            leases: createLeases(link, { host: randomUUID(), incarnation: '1', leaseMs: 100 }),
          },
        ),
      'steps of a host': () => queues.steps(queueNames.conversions(randomUUID())),
      engine: () =>
        createEngine(
          { hostId: randomUUID(), leaseMs: 100 },
          {
            link,
            log,
            works: [idleWork],
            slots: () => 1,
            mayClaim: async () => true,
            others: async () => [],
            restoreEnds: async () => undefined,
          },
        ),
      ...commandParts({
        folder,
        loopHost: loop.host,
        redisUrl: redis.server.url,
        fleet: { ...shared, link, backdoor: createBackdoor(link) },
        trainer,
        detector,
      }),
    }
    const closeSession = () => {
      session.close()
      unreachable.close()
    }
    return { service: services[name](), closeSession }
  }

  return {
    create,
    shared: things.list,
    async close() {
      await outputThread.close()
      await loop.close()
      await queues.close()
      await redis.close()
      await removeTree(folder)
    },
  }
}

function withWork<Started extends Service>(
  service: Started,
  begin: (service: Started) => Promise<unknown>,
): WorkingService {
  return Object.assign(service, { beginWork: () => begin(service) })
}

/** A model that serves from the start on, so that there is something to close. */
async function installModel(folder: string): Promise<void> {
  const loop = await startModelLoop()
  const target = await loop.offer('1.1')
  const { models, close } = modelDownload(loop.http.host)
  const keeper = createModelKeeper({ folder, format: FORMAT }, { models, buildPool: buildDouble, log: silent })
  await keeper.start({ signal: new AbortController().signal })
  keeper.setTarget(target)
  await until('the model serves', () => keeper.loaded() !== null)
  await keeper.stop()
  close()
  await loop.http.close()
}
