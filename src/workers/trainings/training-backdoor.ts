import { appendFile, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf } from '../../base/index.js'
import type { Logger } from '../../base/logger/index.js'
import { BACKDOOR_FILE } from '../../executors/contract/index.js'
import type { TrainingsOfFleet } from '../../queue/index.js'
import type { Backdoor, BackdoorMessage, Subscription } from '../../queue/redis/index.js'
import { workspacePaths } from '../workspaces/index.js'

export type TrainingBackdoorOptions = { readonly hostId: string; readonly dataFolder: string }
export type TrainingBackdoorDeps = {
  readonly backdoor: Pick<Backdoor, 'watch'>
  readonly trainings: Pick<TrainingsOfFleet, 'load'>
  readonly sweepOwned: (matches: (owner: string) => boolean) => Promise<number[]>
  readonly log: Logger
}

/** Does on this host what tests ask for over a trainer node's backdoor. */
export function openTrainingBackdoor(
  { hostId, dataFolder }: TrainingBackdoorOptions,
  deps: TrainingBackdoorDeps,
): Promise<Subscription> {
  let last: Promise<void> = Promise.resolve()

  async function obey({ trainingId, kill, line }: BackdoorMessage): Promise<void> {
    const training = await deps.trainings.load(trainingId)
    if (training === undefined || training.hostId !== hostId) return
    deps.log.warn({ trainingId, kill, line }, 'asked for by the backdoor')
    if (line !== undefined) {
      const { workspace } = workspacePaths(dataFolder, training.order, trainingId)
      await mkdir(workspace, { recursive: true })
      await appendFile(join(workspace, BACKDOOR_FILE), `${JSON.stringify(line)}\n`)
    }
    const isProgramOfIt = (owner: string) =>
      owner.startsWith(`${hostId}:`) && owner.endsWith(`:${trainingId}.${training.run}`)
    if (kill === true) await deps.sweepOwned(isProgramOfIt)
  }

  return deps.backdoor.watch((message) => {
    last = last
      .then(() => obey(message))
      .catch((error: unknown) => deps.log.warn({ reason: messageOf(error) }, 'backdoor not obeyed'))
  })
}
