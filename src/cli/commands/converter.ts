import type { Command } from 'commander'
import { nodeAddress } from '../node-address.js'
import { gpuList, portNumber, wholeNumber } from '../options.js'

type ConverterFlags = {
  name?: string
  uuid?: string
  every: number
  worker: boolean
  data?: string
  gpus?: string[]
  places?: number
  port?: number
  host?: string
}

export function addConverterCommand(program: Command): void {
  program
    .command('converter')
    .description('a converter node: makes further formats of the models at the Loop')
    .argument('<file>', 'converter file: YAML, or a plug-in (.js, .mjs, .ts)')
    .option('--name <name>', 'name at the Loop (default: the name of the converter)')
    .option('--uuid <uuid>', 'identity of the node (default: made once and kept in the data folder)')
    .option('--every <seconds>', 'how often to look for models without the format', wholeNumber(1, 86_400), 60)
    .option('--no-worker', 'convert nothing here: that is for hosts with `worker --converter`')
    .option('--data <dir>', 'data folder (default: DATA_FOLDER or ./data)')
    .option(
      '--gpus <list>',
      'GPUs to lend by index or UUID, such as 0,1, or "none" for the CPU (default: all of the machine)',
      gpuList,
    )
    .option('--places <n>', 'programs of conversions at the same time (default: GPUs + 1)', wholeNumber(1, 1000))
    .option(
      '--port <port>',
      'also answer the REST endpoints of a Python node on this port (default: NODE_PORT, else none)',
      portNumber,
    )
    .option('--host <address>', 'address those endpoints are bound to (default: NODE_HOST or 127.0.0.1)')
    .action(runConverter)
}

async function runConverter(file: string, flags: ConverterFlags): Promise<void> {
  const [{ runUntilAsked }, { openFleetLink, whyNoRedis }, { openLoopClient }, { startConverter }, { readConverter }] =
    await Promise.all([
      import('../run-until-asked.js'),
      import('../compose/fleet-link.js'),
      import('../compose/loop-client.js'),
      import('../compose/converter.js'),
      import('../compose/converters.js'),
    ])
  const [{ sayReady }, { dataFolder }, { failureBeforeReady }, { openConverterHttp }] = await Promise.all([
    import('../ready-line.js'),
    import('../context.js'),
    import('../compose/loop-login.js'),
    import('../compose/converter-http.js'),
  ])
  await runUntilAsked(
    async (context, closers) => {
      const converter = await readConverter(file, context)
      const http = await openConverterHttp(nodeAddress(flags, context.environment), { closers, context })
      const folder = dataFolder(flags.data, context.environment)
      const fleet = await openFleetLink(context, closers)
      const loop = openLoopClient(context, closers, folder)
      const { facts, node, loggedIn, over } = await startConverter({ ...flags, folder, converter }, context, {
        closers,
        fleet,
        loop,
      })
      http.node.set({ ...node, whyNotReady: () => whyNoRedis(fleet) ?? node.whyNotReady() })
      const ready = loggedIn.then(() => sayReady('converter', { ...facts, port: http.port }))
      return { over: Promise.race([over, failureBeforeReady(ready, context.signal)]) }
    },
    {
      DATA_FOLDER: { option: '--data', value: flags.data },
      NODE_PORT: { option: '--port', value: flags.port },
      NODE_HOST: { option: '--host', value: flags.host },
    },
  )
}
