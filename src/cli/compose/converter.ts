import { hostname } from 'node:os'
import { join } from 'node:path'
import type { Closers } from '../../base/index.js'
import type { Converter } from '../../executors/program/index.js'
import { type ConverterNode, createConverterNode } from '../../nodes/converter/index.js'
import { readIdentities } from '../../nodes/index.js'
import type { CliContext } from '../context.js'
import type { ReadyFacts } from '../ready-line.js'
import { toConverterProfile } from './converters.js'
import type { FleetLink } from './fleet-link.js'
import type { LoopClient } from './loop-client.js'
import { untilLoggedIn } from './loop-login.js'
import { takeNodeFolder } from './node-folder.js'
import { type NodeParts, nodeSockets } from './node-socket.js'

export type ConverterSettings = {
  readonly folder: string
  readonly converter: Converter
  readonly name?: string
  readonly uuid?: string
  /** Seconds between two looks at the Loop. */
  readonly every: number
  readonly worker: boolean
  readonly gpus?: readonly string[]
  readonly places?: number
}

/** A converter node and, by default, a worker of its own, on a folder of its own below the data folder. */
export async function startConverter(
  settings: ConverterSettings,
  context: CliContext,
  parts: { readonly closers: Closers; readonly fleet: FleetLink; readonly loop: LoopClient },
): Promise<{
  readonly facts: ReadyFacts
  readonly node: ConverterNode
  readonly loggedIn: Promise<void>
  readonly over: Promise<unknown>
}> {
  const { folder, converter, worker: hasWorker } = settings
  const worker = hasWorker ? await startOwnWorker(settings, context, parts) : undefined
  const name = settings.name ?? converter.name
  const { uuid, node, loggedIn } = await startConverterNode(
    { folder, converter, name, uuid: settings.uuid, everyMs: settings.every * 1000 },
    context,
    parts,
  )
  const over = worker === undefined ? node.over : Promise.race([node.over, worker.lost])
  return { facts: { uuid, hostId: worker?.hostId ?? null }, node, loggedIn, over }
}

// Several converters and a worker for trainings may share a data folder; each worker needs one of its own.
async function startOwnWorker(
  { folder, converter, gpus, places }: ConverterSettings,
  context: CliContext,
  parts: { readonly closers: Closers; readonly fleet: FleetLink; readonly loop: LoopClient },
) {
  const { startWorker } = await import('./worker.js')
  const machine = context.environment.LOOPFLEET_HOST_NAME
  const hostName = machine && `${machine}-${converter.name.replaceAll('_', '-')}`.slice(0, 60)
  return startWorker(
    {
      folder: join(folder, 'converters', converter.name),
      trainers: [],
      converters: [converter],
      gpus,
      places,
      hostName,
    },
    context,
    parts,
  )
}

type ConverterNodeSettings = {
  readonly folder: string
  readonly converter: Converter
  readonly name: string
  readonly uuid: string | undefined
  readonly everyMs: number
}

/** Builds and starts a converter node; throws LF_FOLDER_LOCKED when one of that name runs on its folder already. */
async function startConverterNode(
  settings: ConverterNodeSettings,
  context: CliContext,
  parts: NodeParts & { readonly fleet: FleetLink },
): Promise<{ readonly uuid: string; readonly node: ConverterNode; readonly loggedIn: Promise<void> }> {
  const { log, signal } = context
  const { folder, name, uuid, converter, everyMs } = settings
  await takeNodeFolder(folder, { kind: 'converter-node', name }, parts)
  const [identity] = await readIdentities({ folder, name, seats: 1, ...(uuid !== undefined && { uuid }) })
  if (identity === undefined) throw new Error('A converter node has one identity.')
  const profile = await toConverterProfile(converter)
  const node = createConverterNode(
    { identity, owner: `${hostname()}:${folder}`, profile, everyMs },
    {
      ...parts.fleet,
      rest: parts.loop.rest,
      log,
      createSocket: nodeSockets('converter', context, parts),
    },
  )
  parts.closers.add('converter node', () => node.stop())
  await node.start({ signal })
  const loggedIn = untilLoggedIn('converter', { loop: parts.loop, node }, context)
  return { uuid: identity.uuid, node, loggedIn }
}
