import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from '../../base/logger/index.js'
import type { TrainingsOfFleet } from '../../queue/index.js'
import type { WorkerOptions } from '../worker-options.js'
import { DEFAULT_KEEP } from '../workspaces/index.js'
import { forgetEnded, isOver } from './store.js'

/** A shared folder whose server is unreachable may block a call indefinitely; the worker waits no longer than this. */
const FORGETTING_MS = 5000

/** Removes packed checkpoints that no training needs, also of trainings that were ended while no host had them. */
export async function forgetUnneeded(
  { checkpoints, keep }: Pick<WorkerOptions, 'checkpoints' | 'keep'>,
  { trainings, log }: { readonly trainings: Pick<TrainingsOfFleet, 'load'>; readonly log: Logger },
): Promise<void> {
  if (checkpoints === undefined) return
  const { folder } = checkpoints
  const { keepFailedMs } = { ...DEFAULT_KEEP, ...keep }
  const isGone = async (id: string) => isOver(await trainings.load(id), { keepFailedMs, now: Date.now() })
  const forgetting = forgetEnded(folder, isGone).catch((error: unknown) => {
    log.warn({ err: error, folder }, 'folder for checkpoints not usable')
  })
  await Promise.race([forgetting, sleep(FORGETTING_MS, undefined, { ref: false })])
}
