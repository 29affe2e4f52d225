import { appendFile, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf } from '../../base/errors.js'
import type { Logger } from '../../base/logger/logger.js'
import { BACKDOOR_FILE } from '../../executors/contract/workspace.js'
import type { Backdoor, BackdoorMessage } from '../../queue/redis/backdoor.js'
import type { Subscription } from '../../queue/redis/subscriptions.js'
import type { TrainingsOfFleet } from '../../queue/trainings/trainings-of-fleet.js'
import { workspacePaths } from '../workspaces/workspace-paths.js'

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
