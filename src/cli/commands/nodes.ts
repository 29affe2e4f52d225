import type { Command } from 'commander'
import { addNodeCommand } from '../add-node-command.js'
import type { NodeCommand, NodeFlags } from '../node-command.js'
import { wholeNumber } from '../options.js'

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
