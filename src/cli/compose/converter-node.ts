import { hostname } from 'node:os'
import type { Converter } from '../../executors/program/index.js'
import { type ConverterNode, createConverterNode } from '../../nodes/converter/index.js'
import { readIdentities } from '../../nodes/index.js'
import type { CliContext } from '../context.js'
import { toConverterProfile } from './converters.js'
import type { FleetLink } from './fleet-link.js'
import { untilLoggedIn } from './loop-login.js'
import { takeNodeFolder } from './node-folder.js'
import { type NodeParts, nodeSockets } from './node-socket.js'

export type ConverterNodeSettings = {
  readonly folder: string
  readonly converter: Converter
  readonly name: string
  readonly uuid: string | undefined
  readonly everyMs: number
}

/** Builds and starts a converter node; throws LF_FOLDER_LOCKED when one of that name runs on its folder already. */
export async function startConverterNode(
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
