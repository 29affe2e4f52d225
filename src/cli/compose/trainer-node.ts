import { hostname } from 'node:os'
import type { TrainerDefinition } from '../../executors/definition/index.js'
import { readIdentities } from '../../nodes/index.js'
import { createTrainerNode, type TrainerNode, type TrainerProfile } from '../../nodes/trainer/index.js'
import type { CliContext } from '../context.js'
import type { FleetLink } from './fleet-link.js'
import { untilLoggedIn } from './loop-login.js'
import { takeNodeFolder } from './node-folder.js'
import { type NodeParts, nodeSockets } from './node-socket.js'

export type TrainerNodeSettings = {
  readonly folder: string
  readonly trainer: TrainerDefinition
  readonly name: string
  readonly seats: number
  readonly uuid: string | undefined
}

/** Builds and starts a trainer node; throws LF_FOLDER_LOCKED when one of that name runs on its folder already. */
export async function startTrainerNode(
  settings: TrainerNodeSettings,
  context: CliContext,
  parts: NodeParts & { readonly fleet: FleetLink },
): Promise<{ readonly uuids: string[]; readonly node: TrainerNode; readonly loggedIn: Promise<void> }> {
  const { environment, log, signal } = context
  const { folder, name, seats, uuid } = settings
  await takeNodeFolder(folder, { kind: 'trainer-node', name }, parts)
  const identities = await readIdentities({ folder, name, seats, uuid })
  const node = createTrainerNode(
    {
      identities,
      owner: `${hostname()}:${folder}`,
      profile: toProfile(settings.trainer),
      dialect: environment.LOOP_PROTOCOL,
      muted: environment.SKIP_REPEAT_ON_START,
      restartAfterTraining: environment.RESTART_AFTER_TRAINING,
      idleTimeoutMs: environment.TRAINER_IDLE_TIMEOUT_SEC * 1000,
    },
    {
      ...parts.fleet,
      log,
      now: Date.now,
      createSocket: nodeSockets('trainer', context, parts),
    },
  )
  parts.closers.add('trainer node', () => node.stop())
  await node.start({ signal })
  const loggedIn = untilLoggedIn('trainer', { loop: parts.loop, node }, context)
  return { uuids: identities.map((identity) => identity.uuid), node, loggedIn }
}

function toProfile(trainer: TrainerDefinition): TrainerProfile {
  return { name: trainer.name, architecture: trainer.architecture ?? null, models: trainer.models }
}
