import { join } from 'node:path'
import { type Closers, InvalidInputError, messageOf, removeTree, safePathSegment } from '../../base/index.js'
import type { Logger } from '../../base/logger/index.js'
import type { Environment } from '../../config/index.js'
import {
  claimOutbox,
  createDetector,
  createDetectorServer,
  createModelDownload,
  createModelKeeper,
  createOutbox,
  createRelevanceFilter,
  type Detector,
  thresholdWarning,
} from '../../detector/index.js'
import { tooManyThreadsLost } from '../../inference/basics/index.js'
import { backendOf, createInferencePool } from '../../inference/index.js'
import { createImageUpload } from '../../loop/client/index.js'
import type { LoopSocket } from '../../loop/client/socket/index.js'
import { createDetectorNode, type DetectorNode } from '../../nodes/detector/index.js'
import { type NodeIdentity, readIdentities, registerNodeSwitches } from '../../nodes/index.js'
import { lockFolder } from '../../process/folder-lock/index.js'
import type { CliContext } from '../context.js'
import { type BackendFlags, toBackendChoice } from './detector-backend.js'
import type { LoopClient } from './loop-client.js'

export type DetectorSettings = BackendFlags & {
  readonly name: string
  readonly uuid?: string
  readonly port: number
  readonly host: string
  readonly threads?: number
  readonly batch?: number
  /** Seconds. */
  readonly deadline: number
  /** Seconds. */
  readonly warmUp?: number
  readonly keepModels: number
  /** From 0 to 1; goes before what a model says of itself. */
  readonly confThreshold?: number
  readonly outboxImages?: number
  readonly outboxMb: number
}

export type DetectorSurroundings = { readonly closers: Closers; readonly loop: LoopClient }

/** Images that may wait for a thread; more are refused with 503. */
const MAX_QUEUE = 512

/** Builds and starts a detector on its data folder; throws LF_FOLDER_LOCKED when one runs there already. */
export async function startDetector(
  settings: DetectorSettings,
  context: CliContext,
  { closers, loop }: DetectorSurroundings,
): Promise<{
  readonly uuid: string
  readonly port: number
  readonly hasModel: boolean
  readonly serves: Promise<void>
  readonly over: Promise<unknown>
}> {
  const { environment, signal } = context
  const { folder, name } = settings
  const place = projectOf(environment)
  const { format } = toBackendChoice(settings) // first, so that a bad flag fails immediately
  const lock = await lockFolder(folder, 'detector')
  closers.add('folder lock', () => lock.release())
  const [identity = { uuid: '', name }] = await readIdentities({ folder, name, seats: 1, uuid: settings.uuid })

  const detector = buildDetector(settings, context, { loop, place })
  closers.add('detector', () => detector.stop())
  const node = await buildNode({ identity, format, place }, context, { loop, detector })
  const server = await buildServer(settings, context, { detector, node })
  closers.add('detector server', () => server.close())
  // It answers while it loads its model, and whether or not there is a Loop.
  const port = await server.listen(settings)
  await detector.start({ signal })
  closers.add('detector node', () => node.stop())
  await node.start({ signal })
  const serves = untilItServes(detector)
  const hasModel = detector.modelInfo() !== null
  const over = Promise.race([lock.lost, node.over, tooManyThreadsLost(signal)])
  return { uuid: identity.uuid, port, hasModel, serves, over }
}

function untilItServes(detector: Detector): Promise<void> {
  return new Promise((resolve) => {
    const check = () => {
      if (detector.modelInfo() === null) return
      unwatch()
      resolve()
    }
    const unwatch = detector.onChange(check)
    check()
  })
}

type Place = { readonly organization: string; readonly project: string }

function projectOf(environment: Environment): Place {
  const { LOOP_ORGANIZATION: organization, LOOP_PROJECT: project } = environment
  if (organization !== undefined && project !== undefined) {
    return { organization: loopId('LOOP_ORGANIZATION', organization), project: loopId('LOOP_PROJECT', project) }
  }
  const missing = [organization === undefined && 'LOOP_ORGANIZATION', project === undefined && 'LOOP_PROJECT']
  throw new InvalidInputError(
    `A detector belongs to a project of the Loop; set ${missing.filter(Boolean).join(' and ')}.`,
  )
}

// Before the outbox of the former project is set aside for one that cannot be.
function loopId(name: string, value: string): string {
  try {
    return safePathSegment(value.toLowerCase())
  } catch (error) {
    throw new InvalidInputError(
      `${name} is no id of the Loop; set the one in the address of its pages. ${messageOf(error)}`,
    )
  }
}

function buildDetector(
  settings: DetectorSettings,
  { environment, log }: CliContext,
  { loop, place }: { readonly loop: LoopClient; readonly place: Place },
): Detector {
  const { folder } = settings
  const { LOOP_PROTOCOL: dialect } = environment
  const { choice, format } = toBackendChoice(settings)
  const relevance = {
    dialect,
    minUncertain: environment.MIN_UNCERTAIN_THRESHOLD,
    maxUncertain: environment.MAX_UNCERTAIN_THRESHOLD,
  }
  if (relevance.minUncertain > relevance.maxUncertain) {
    const { minUncertain, maxUncertain } = relevance
    throw new InvalidInputError(
      `MIN_UNCERTAIN_THRESHOLD is ${minUncertain}, which lies above MAX_UNCERTAIN_THRESHOLD; set it to ${maxUncertain} or less.`,
    )
  }
  const keeper = {
    folder,
    format,
    owner: place,
    keepVersions: settings.keepModels,
    exclusiveBuild: environment.EXCLUSIVE_MODEL_BUILD,
    initialMode: environment.VERSION_CONTROL_DEFAULT.toLowerCase() === 'pause' ? 'pause' : 'follow_loop',
  } as const
  const pool = {
    threads: settings.threads ?? environment.LOOPFLEET_THREADS,
    maxQueue: MAX_QUEUE,
    // Half of the deadline, so that what waits behind images that hang in all threads is still answered in time.
    timeoutMs: settings.deadline * 500,
    ...(settings.warmUp !== undefined && { warmUpMs: settings.warmUp * 1000 }),
    ...(settings.batch !== undefined && { batch: { maxImages: settings.batch } }),
  }
  return createDetector(
    { dialect },
    {
      log,
      now: Date.now,
      open: async () => ({
        models: createModelKeeper(keeper, {
          models: createModelDownload({ ...place, format }, { exchange: loop.models, rest: loop.rest }),
          buildPool: async (modelFolder, modelJson, { wasServed, signal }) => {
            const use = { threshold: settings.confThreshold, wasServed }
            const backend = await backendOf(modelFolder, modelJson, choice, use)
            const built = await createInferencePool({ ...pool, backend }, { log, signal })
            const warning = thresholdWarning(built.threshold, relevance)
            if (warning !== undefined) log.warn({ version: modelJson.version }, warning)
            return built
          },
          log,
        }),
        outbox: createOutbox(
          {
            folder: await claimOutbox(folder, place, { log }),
            maxImages: settings.outboxImages ?? environment.MAX_OUTBOX_SIZE,
            maxBytes: settings.outboxMb * 1_000_000,
          },
          { upload: createImageUpload({ ...place, dialect }, { session: loop.session }), log, now: Date.now },
        ),
        filter: createRelevanceFilter(relevance, { now: () => performance.now() }),
      }),
      async wipe() {
        for (const name of ['models', 'current_model', 'model', 'outbox', 'version_control.json']) {
          await removeTree(join(folder, name))
        }
      },
    },
  )
}

async function buildNode(
  { identity, format, place }: { readonly identity: NodeIdentity; readonly format: string; readonly place: Place },
  { environment, log }: CliContext,
  { loop, detector }: { readonly loop: LoopClient; readonly detector: Detector },
): Promise<DetectorNode> {
  const createSocket = environment.LOOP_PROTOCOL === '0.8' ? await socketMaker(place, log, loop) : noSocket
  return createDetectorNode(
    {
      identity,
      ...place,
      modelFormat: format,
      nodeVersion: environment.NODE_VERSION,
      dialect: environment.LOOP_PROTOCOL,
      syncCycles: environment.SYNC_CYCLES,
      muted: environment.SKIP_REPEAT_ON_START,
    },
    {
      detector,
      rest: loop.rest,
      createSocket,
      log,
    },
  )
}

async function socketMaker(place: Place, log: Logger, { session }: LoopClient): Promise<() => LoopSocket> {
  const { createLoopSocket } = await import('../../loop/client/socket/index.js')
  return () => createLoopSocket({ nodeType: 'detector', ...place }, { session, log })
}

function noSocket(): never {
  throw new Error('The current dialect has no socket for detectors.')
}

async function buildServer(
  settings: DetectorSettings,
  { environment, log, signal }: CliContext,
  { detector, node }: { readonly detector: Detector; readonly node: DetectorNode },
) {
  const usual = log.level
  const switches = {
    setOnline: (online: boolean) => node.setOnline(online),
    setDebugLogging(on: boolean) {
      log.level = on ? 'debug' : usual
    },
  }
  const { LOOP_PROTOCOL: dialect, USE_BACKDOOR_CONTROLS: hasBackdoor } = environment
  const allowedHosts = [settings.host, ...environment.LOOPFLEET_ALLOWED_HOSTS]
  return createDetectorServer(
    {
      dialect,
      version: '0.1.0',
      hasBackdoor,
      limits: { deadlineMs: settings.deadline * 1000 },
      allowedHosts,
      ending: signal,
    },
    { detector, log, addRoutes: (app) => registerNodeSwitches(app, switches, { log }) },
  )
}
