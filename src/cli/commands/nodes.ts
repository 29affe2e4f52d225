import type { Command } from 'commander'
import type { NodeCommand, NodeFlags } from '../node-command.js'
import { portNumber, wholeNumber } from '../options.js'

type AnnotatorFlags = NodeFlags & { tool?: string; threads?: number }

const annotator: NodeCommand<AnnotatorFlags> = {
  command: 'annotator',
  description: 'an annotator node: helps people to outline objects in the Loop',
  addOptions: (command) =>
    command
      .option('--tool <file>', 'annotation tool (JavaScript module); the demo segmentation tool without it')
      .option(
        '--threads <n>',
        'threads of the demo segmentation tool (default: cores - 1, at most 2)',
        wholeNumber(1, 64),
      ),
  defaultName: 'segmentation',
  nodeType: 'annotation_node',
  async create(material, flags) {
    const { createAnnotator } = await import('../compose/annotator-node.js')
    return createAnnotator(material, flags)
  },
}

/** The commands of the nodes that need neither Redis nor a server of their own. */
export function addNodeCommands(program: Command): void {
  addNodeCommand(program, annotator)
}

/** Adds the command of such a node to the program. */
function addNodeCommand<Flags extends NodeFlags>(program: Command, node: NodeCommand<Flags>): void {
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
      const { runNode } = await import('../compose/run-node.js')
      await runNode(node, flags)
    })
}
