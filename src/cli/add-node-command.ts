import type { Command } from 'commander'
import type { NodeCommand, NodeFlags } from './node-command.js'
import { portNumber } from './options.js'

/** Adds the command of such a node to the program. */
export function addNodeCommand<Flags extends NodeFlags>(program: Command, node: NodeCommand<Flags>): void {
  const { command: name, description, addOptions = (command) => command, defaultName } = node
  addOptions(program.command(name).description(description))
    .option('--name <name>', 'name at the Loop', defaultName)
    .option('--uuid <uuid>', 'identity at the Loop (default: made once and kept in the data folder)')
    .option('--data <dir>', 'data folder (default: DATA_FOLDER or ./data)')
    .option(
      '--port <port>',
      'also answer the REST endpoints of a Python node on this port (default: NODE_PORT, else none)',
      portNumber,
    )
    .option('--host <address>', 'address those endpoints are bound to (default: NODE_HOST or 127.0.0.1)')
    .action(async (flags: Flags) => {
      const { runNode } = await import('./compose/run-node.js')
      await runNode(node, flags)
    })
}
