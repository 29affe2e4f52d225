import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { join, resolve } from 'node:path'
import { z } from 'zod'
import { type Closers, readJsonFile, writeJsonFile } from '../../base/index.js'
import { type Environment, hostEnvironment } from '../../config/index.js'
import type { TrainerDefinition } from '../../executors/definition/index.js'
import {
  createNvidiaSmi,
  createNvidiaSmiProbe,
  createOfferFilter,
  createSlots,
  findHardwareSigns,
  openGpuWatch,
  type ReadOptions,
  readInventory,
} from '../../executors/gpu/index.js'
import type { Converter } from '../../executors/program/index.js'
import { createProcessPool } from '../../inference/index.js'
import { lockFolder } from '../../process/folder-lock/index.js'
import { createOutputThread, sweepOwned } from '../../process/index.js'
import { createWorker, defaultThreads, openTrainingBackdoor, type WorkerOptions } from '../../workers/index.js'
import type { CliContext } from '../context.js'
import type { FleetLink } from './fleet-link.js'
import type { LoopClient } from './loop-client.js'

export type WorkerSettings = {
  readonly folder: string
  readonly trainers: readonly TrainerDefinition[]
  readonly converters?: readonly Converter[]
  /** Instead of LOOPFLEET_HOST_NAME, for a worker that is not the only one of this machine. */
  readonly hostName?: string | undefined
  /** GPU indices and UUIDs to lend; undefined is all of the machine, an empty list means the CPU slot. */
  readonly gpus: readonly string[] | undefined
  readonly places: number | undefined
}

/** Builds and starts the worker of this host; throws LF_FOLDER_LOCKED when one runs on its folder already. */
export async function startWorker(
  settings: WorkerSettings,
  context: CliContext,
  { closers, fleet, loop }: { readonly closers: Closers; readonly fleet: FleetLink; readonly loop: LoopClient },
): Promise<{ readonly hostId: string; readonly gpus: number; readonly lost: Promise<Error> }> {
  const { environment, log, signal } = context
  const lock = await lockFolder(settings.folder, 'worker')
  closers.add('folder lock', () => lock.release())
  const hostId = await readHostId(settings.folder, settings.hostName ?? environment.LOOPFLEET_HOST_NAME)

  const watch = await watchGpus(settings.gpus, context)
  closers.add('GPU watch', () => watch.close())
  const slots = createSlots({ gpus: null })
  const gpus = createOfferFilter(watch)
  slots.setOffer(gpus.offer)
  gpus.onChange((offer) => slots.setOffer(offer))

  const outputThread = createOutputThread({ log })
  closers.add('output thread', () => outputThread.close())

  const worker = createWorker(
    {
      hostId,
      owner: `${hostname()}:${settings.folder}`,
      dataFolder: settings.folder,
      programEnv: hostEnvironment(),
      trainers: settings.trainers,
      converters: settings.converters ?? [],
      places: settings.places,
      lendPlaceAfterMs: environment.LOOPFLEET_LEND_PLACE_SECONDS * 1000,
      lockMs: environment.LOOPFLEET_LOCK_MS,
      keep: {
        keepOld: environment.KEEP_OLD_TRAININGS,
        keepFailedMs: environment.LOOPFLEET_KEEP_FAILED_DAYS * 86_400_000,
        maxBytes: environment.LOOPFLEET_MAX_WORKSPACE_BYTES,
      },
      checkpoints: checkpointsOf(environment),
      preflight: { timeoutMs: environment.LOOPFLEET_PREFLIGHT_SECONDS * 1000 },
    },
    {
      ...fleet,
      slots,
      gpus,
      sweepOwned,
      log,
      loopAddress: loop.session.address.rest,
      stageDeps: {
        rest: loop.rest,
        images: loop.images,
        models: loop.models,
        announceUpload: (model) => fleet.conversions.announceUpload(model),
        dialect: environment.LOOP_PROTOCOL,
        detectionsPerPost: environment.INFERENCE_BATCH_SIZE,
        threads: environment.LOOPFLEET_THREADS ?? defaultThreads(),
        gpuFigures: () => watch.figures(),
        outputThread,
        createPool: (options) => createProcessPool(options, { log }),
      },
    },
  )
  closers.add('worker', () => worker.stop())
  await worker.start({ signal })
  if (environment.USE_BACKDOOR_CONTROLS) {
    const backdoor = await openTrainingBackdoor({ hostId, dataFolder: settings.folder }, { ...fleet, sweepOwned, log })
    closers.add('backdoor', () => backdoor.close())
  }
  return { hostId, gpus: slots.gpus.length, lost: lock.lost }
}

function watchGpus(flag: readonly string[] | undefined, { log, signal }: CliContext) {
  const env = hostEnvironment()
  const smi = createNvidiaSmi({ path: env.PATH })
  const limits = {
    flag,
    cudaVisible: env.CUDA_VISIBLE_DEVICES,
    cudaOrder: env.CUDA_DEVICE_ORDER,
    nvidiaVisible: env.NVIDIA_VISIBLE_DEVICES,
  }
  const read = (options: ReadOptions) => readInventory(options, { smi, hardwareSigns: findHardwareSigns })
  return openGpuWatch({ limits }, { read, probe: createNvidiaSmiProbe(), log, signal })
}

function checkpointsOf(environment: Environment): WorkerOptions['checkpoints'] {
  const folder = environment.LOOPFLEET_CHECKPOINTS
  if (folder === undefined) return undefined
  return { folder: resolve(folder), everyMs: environment.LOOPFLEET_CHECKPOINT_SECONDS * 1000 }
}

const hostFileSchema = z.object({ hostId: z.string().regex(/^[A-Za-z0-9-]{1,60}$/) })

/** The name of this host in the fleet: as given, or made once from the machine's name and kept in its data folder. */
async function readHostId(folder: string, given: string | undefined): Promise<string> {
  if (given !== undefined) return given
  const path = join(folder, 'host.json')
  const kept = await readJsonFile(path, hostFileSchema)
  if (kept !== undefined) return kept.hostId
  const machine = hostname()
    .replaceAll(/[^A-Za-z0-9-]/g, '-')
    .slice(0, 40)
  const hostId = `${machine || 'host'}-${randomBytes(2).toString('hex')}`
  await writeJsonFile(path, { hostId })
  return hostId
}
