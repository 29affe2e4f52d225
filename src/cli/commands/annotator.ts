import type { Command } from 'commander'
import { nodeAddress } from '../node-address.js'
import { portNumber, wholeNumber } from '../options.js'

type AnnotatorFlags = {
  tool?: string
  name: string
  uuid?: string
  threads?: number
  data?: string
  port?: number
  host?: string
}

export function addAnnotatorCommand(program: Command): void {
  program
    .command('annotator')
    .description('an annotator node: helps people to outline objects in the Loop')
    .option('--tool <file>', 'annotation tool (JavaScript module); the demo segmentation tool without it')
    .option('--name <name>', 'name at the Loop', 'segmentation')
    .option('--uuid <uuid>', 'identity at the Loop (default: made once and kept in the data folder)')
    .option(
      '--threads <n>',
      'threads of the demo segmentation tool (default: cores - 1, at most 2)',
      wholeNumber(1, 64),
    )
    .option('--data <dir>', 'data folder (default: DATA_FOLDER or ./data)')
    .option(
      '--port <port>',
      'also answer the REST endpoints of a Python node on this port (default: NODE_PORT, else none)',
      portNumber,
    )
    .option('--host <address>', 'address those endpoints are bound to (default: NODE_HOST or 127.0.0.1)')
    .action(runAnnotator)
}

async function runAnnotator(flags: AnnotatorFlags): Promise<void> {
  const [{ runUntilAsked }, { openLoopClient }, { startAnnotatorNode }, { openNodeHttp }] = await Promise.all([
    import('../run-until-asked.js'),
    import('../compose/loop-client.js'),
    import('../compose/annotator-node.js'),
    import('../compose/node-http.js'),
  ])
  const [{ sayReady }, { dataFolder }, { failureBeforeReady }] = await Promise.all([
    import('../ready-line.js'),
    import('../context.js'),
    import('../compose/loop-login.js'),
  ])
  await runUntilAsked(
    async (context, closers) => {
      const http = await openNodeHttp(nodeAddress(flags, context.environment), { closers, context })
      const folder = dataFolder(flags.data, context.environment)
      const loop = openLoopClient(context, closers, folder)
      const parts = { closers, loop }
      const { uuid, node, loggedIn } = await startAnnotatorNode({ ...flags, folder }, context, parts)
      http.node.set(node)
      const ready = loggedIn.then(() => sayReady('annotator', { uuid, name: flags.name, port: http.port }))
      return { over: Promise.race([node.over, failureBeforeReady(ready, context.signal)]) }
    },
    {
      DATA_FOLDER: { option: '--data', value: flags.data },
      NODE_PORT: { option: '--port', value: flags.port },
      NODE_HOST: { option: '--host', value: flags.host },
    },
  )
}
