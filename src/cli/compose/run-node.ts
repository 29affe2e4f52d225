import { readIdentities } from '../../nodes/index.js'
import { dataFolder } from '../context.js'
import { nodeAddress } from '../node-address.js'
import type { NodeCommand, NodeFlags } from '../node-command.js'
import { sayReady } from '../ready-line.js'
import { runUntilAsked } from '../run-until-asked.js'
import { openLoopClient } from './loop-client.js'
import { failureBeforeReady, untilLoggedIn } from './loop-login.js'
import { takeNodeFolder } from './node-folder.js'
import { openNodeHttp } from './node-http.js'
import { nodeSockets } from './node-socket.js'

/** Runs a node until it is asked to end; throws LF_FOLDER_LOCKED when one of that name runs on its folder already. */
export async function runNode<Flags extends NodeFlags>(node: NodeCommand<Flags>, flags: Flags): Promise<void> {
  const { command, nodeType } = node
  const { name, uuid } = flags
  await runUntilAsked(
    async (context, closers) => {
      const { environment, log, signal } = context
      const http = await openNodeHttp(nodeAddress(flags, environment), { closers, context })
      const folder = dataFolder(flags.data, environment)
      const loop = openLoopClient(context, closers, folder)
      await takeNodeFolder(folder, { kind: command, name }, { closers })
      const [identity = { uuid: '', name }] = await readIdentities({ folder, name, seats: 1, uuid })
      const createSocket = nodeSockets(nodeType, context, { loop })
      const created = await node.create({ identity, environment, loop, createSocket, log }, flags)
      closers.add(`${command} node`, () => created.stop())
      await created.start({ signal })
      http.node.set(created)
      const loggedIn = untilLoggedIn(command, { loop, node: created }, context)
      const ready = loggedIn.then(() => sayReady(command, { uuid: identity.uuid, name, port: http.port }))
      return { over: Promise.race([created.over, failureBeforeReady(ready, signal)]) }
    },
    {
      DATA_FOLDER: { option: '--data', value: flags.data },
      NODE_PORT: { option: '--port', value: flags.port },
      NODE_HOST: { option: '--host', value: flags.host },
    },
  )
}
