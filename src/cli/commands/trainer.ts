import type { Command } from 'commander'
import { nodeAddress } from '../node-address.js'
import { portNumber, wholeNumber } from '../options.js'

type TrainerFlags = { name?: string; uuid?: string; seats: number; data?: string; port?: number; host?: string }

export function addTrainerCommand(program: Command): void {
  program
    .command('trainer')
    .description('a trainer node: takes orders from the Loop and tells it how they go')
    .argument('<file>', 'trainer file: YAML, a plug-in (.js, .mjs, .ts), or the word mock')
    .option('--name <name>', 'name at the Loop (default: the name of the trainer)')
    .option('--uuid <uuid>', 'identity of the first seat (default: made once and kept in the data folder)')
    .option('--seats <n>', 'trainer identities at the Loop; more than GPUs means a queue', wholeNumber(1, 1000), 1)
    .option('--data <dir>', 'data folder (default: DATA_FOLDER or ./data)')
    .option(
      '--port <port>',
      'also answer the REST endpoints of a Python node on this port (default: NODE_PORT, else none)',
      portNumber,
    )
    .option('--host <address>', 'address those endpoints are bound to (default: NODE_HOST or 127.0.0.1)')
    .action(runTrainer)
}

async function runTrainer(file: string, flags: TrainerFlags): Promise<void> {
  const [{ runUntilAsked }, { openFleetLink }, { openLoopClient }, { startTrainerNode }, { readTrainer }] =
    await Promise.all([
      import('../run-until-asked.js'),
      import('../compose/fleet-link.js'),
      import('../compose/loop-client.js'),
      import('../compose/trainer-node.js'),
      import('../compose/trainers.js'),
    ])
  const [{ sayReady }, { dataFolder }, { failureBeforeReady }, { openTrainerHttp }] = await Promise.all([
    import('../ready-line.js'),
    import('../context.js'),
    import('../compose/loop-login.js'),
    import('../compose/trainer-http.js'),
  ])
  await runUntilAsked(
    async (context, closers) => {
      const trainer = await readTrainer(file, context)
      const http = await openTrainerHttp(nodeAddress(flags, context.environment), { closers, context })
      const folder = dataFolder(flags.data, context.environment)
      const fleet = await openFleetLink(context, closers)
      const loop = openLoopClient(context, closers, folder)
      const settings = { folder, trainer, name: flags.name ?? trainer.name, seats: flags.seats, uuid: flags.uuid }
      const { uuids, node, loggedIn } = await startTrainerNode(settings, context, { closers, fleet, loop })
      await http.serve(node, { fleet, uuids })
      const facts = { uuid: uuids[0] ?? '', seats: uuids.length, port: http.port }
      const ready = loggedIn.then(() => sayReady('trainer', facts))
      return { over: Promise.race([node.over, failureBeforeReady(ready, context.signal)]) }
    },
    {
      DATA_FOLDER: { option: '--data', value: flags.data },
      NODE_PORT: { option: '--port', value: flags.port },
      NODE_HOST: { option: '--host', value: flags.host },
    },
  )
}
