import { hostname } from 'node:os'
import { resolve } from 'node:path'
import { hostEnvironment } from '../../config/load.js'
import type { Environment } from '../../config/variables.js'
import type { Converter } from '../../executors/converter.js'
import type { TrainerDefinition } from '../../executors/definition.js'
import { NotEnoughGpusError } from '../../executors/errors.js'
import { createGpuMonitor } from '../../executors/gpu/monitor.js'
import { createNvidiaSmiProbe } from '../../executors/gpu/probe.js'
import { createSlots } from '../../executors/gpu/slots.js'
import { createInferencePool } from '../../inference/pool.js'
import { lockFolder } from '../../process/folder-lock.js'
import { sweepOwned } from '../../process/sweep.js'
import { openTrainingBackdoor } from '../../workers/training-backdoor.js'
import { createWorker, defaultThreads, type WorkerOptions } from '../../workers/worker.js'
import type { Closers } from '../closers.js'
import type { CliContext } from '../context.js'
import type { FleetLink } from './fleet-link.js'
import { readHostId } from './host-id.js'
import type { LoopClient } from './loop-client.js'

export type WorkerSettings = {
  readonly folder: string
  readonly trainers: readonly TrainerDefinition[]
  readonly converters?: readonly Converter[]
  /** Instead of LOOPFLEET_HOST_NAME, for a worker that is not the only one of this machine. */
  readonly hostName?: string | undefined
  /** GPU indices to lend; undefined asks the machine, an empty list means the CPU slot. */
  readonly gpus: readonly number[] | undefined
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

  const probe = createNvidiaSmiProbe()
  const gpus = settings.gpus ?? ((await probe.read({ signal })) ?? []).map((gpu) => gpu.index)
  if (gpus.length === 0) log.info('no GPU to lend, so trainings run on the CPU slot, one at a time')
  const monitor = createGpuMonitor(probe, { everyMs: 2000 })
  closers.add('gpu monitor', () => monitor.close())
  assertEnoughGpus(settings.converters ?? [], gpus)
  const slots = createSlots({ gpus: gpus.length === 0 ? null : [...gpus] })

  const worker = createWorker(
    {
      hostId,
      owner: `${hostname()}:${settings.folder}`,
      dataFolder: settings.folder,
      programEnv: hostEnvironment(),
      trainers: settings.trainers,
      converters: settings.converters ?? [],
      places: settings.places ?? Math.max(1, gpus.length) + 1,
      lendPlaceAfterMs: environment.LOOPFLEET_LEND_PLACE_SECONDS * 1000,
      lockMs: environment.LOOPFLEET_LOCK_MS,
      stalledMs: environment.LOOPFLEET_STALLED_MS,
      keep: {
        keepOld: environment.KEEP_OLD_TRAININGS,
        keepFailedMs: environment.LOOPFLEET_KEEP_FAILED_DAYS * 86_400_000,
        maxBytes: environment.LOOPFLEET_MAX_WORKSPACE_BYTES,
      },
      checkpoints: checkpointsOf(environment),
    },
    {
      ...fleet,
      slots,
      sweepOwned,
      log,
      loopAddress: loop.session.address.rest,
      stageDeps: {
        rest: loop.rest,
        images: loop.images,
        models: loop.models,
        tellUpload: (model) => fleet.conversions.tellUpload(model),
        journal: fleet.journal,
        dialect: environment.LOOP_PROTOCOL,
        detectionsPerPost: environment.INFERENCE_BATCH_SIZE,
        threads: environment.LOOPFLEET_THREADS ?? defaultThreads(),
        gpuFigures: () => monitor.latest(),
        createPool: (options) => createInferencePool(options, { log }),
      },
    },
  )
  closers.add('worker', () => worker.stop())
  await worker.start({ signal })
  if (environment.USE_BACKDOOR_CONTROLS) {
    const backdoor = await openTrainingBackdoor({ hostId, dataFolder: settings.folder }, { ...fleet, sweepOwned, log })
    closers.add('backdoor', () => backdoor.close())
  }
  return { hostId, gpus: gpus.length, lost: lock.lost }
}

// A host without GPUs converts on its CPU; one with too few would never get to it.
function assertEnoughGpus(converters: readonly Converter[], gpus: readonly number[]): void {
  const tooMuch = converters.find((converter) => gpus.length > 0 && converter.gpus > gpus.length)
  if (tooMuch !== undefined) throw new NotEnoughGpusError({ wanted: tooMuch.gpus, present: gpus.length })
}

function checkpointsOf(environment: Environment): WorkerOptions['checkpoints'] {
  const folder = environment.LOOPFLEET_CHECKPOINTS
  if (folder === undefined) return undefined
  return { folder: resolve(folder), everyMs: environment.LOOPFLEET_CHECKPOINT_SECONDS * 1000 }
}
