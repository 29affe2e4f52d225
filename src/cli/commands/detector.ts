import { type Command, Option } from 'commander'
import type { BackendKind } from '../compose/detector-backend.js'
import { nodeAddress } from '../node-address.js'
import { portNumber, share, wholeNumber } from '../options.js'

type DetectorFlags = {
  backend: BackendKind
  module?: string
  program?: [string, ...string[]]
  format?: string
  name: string
  uuid?: string
  port?: number
  host?: string
  data?: string
  threads?: number
  batch?: number
  deadline: number
  warmUp?: number
  keepModels: number
  confThreshold?: number
  outboxImages?: number
  outboxMb: number
}

export function addDetectorCommand(program: Command): void {
  program
    .command('detector')
    .description('a detector: finds things in images by REST and socket, with the model that the Loop deploys')
    .addOption(
      new Option('--backend <kind>', 'what runs the model')
        .choices(['onnx', 'program', 'module', 'mock'] satisfies BackendKind[])
        .default('onnx'),
    )
    .option('--module <file>', 'JavaScript module of the backend "module"')
    .option('--program <words...>', 'program and arguments of the backend "program"')
    .option('--format <format>', 'format of its models at the Loop (default: onnx, mocked for the backend "mock")')
    .option('--name <name>', 'name at the Loop', 'detector')
    .option('--uuid <uuid>', 'identity at the Loop (default: made once and kept in the data folder)')
    .option('--port <port>', 'port of REST and socket; 0 takes a free one (default: NODE_PORT or 8004)', portNumber)
    .option('--host <address>', 'address they are bound to (default: NODE_HOST or 127.0.0.1)')
    .option('--data <dir>', 'data folder (default: DATA_FOLDER or ./data)')
    .option(
      '--threads <n>',
      'threads of the pool (default: LOOPFLEET_THREADS, or the available cores - 1, at least 2)',
      wholeNumber(1, 256),
    )
    .option('--batch <n>', 'most images of one run, where the model has a free batch axis', wholeNumber(1, 256))
    .option(
      '--deadline <s>',
      'seconds after which an image is refused; its thread is ended after half of them',
      wholeNumber(1, 3600),
      10,
    )
    .option(
      '--warm-up <s>',
      'seconds in which a new model must answer its first image, or it is refused (default: 60)',
      wholeNumber(1, 3600),
    )
    .option(
      '--conf-threshold <n>',
      'confidence from 0 to 1 below which nothing is answered (default: what the model says, else 0.2)',
      share,
    )
    .option('--keep-models <n>', 'versions that stay on disk', wholeNumber(1, 1000), 3)
    .option(
      '--outbox-images <n>',
      'images that may wait for the Loop (default: MAX_OUTBOX_SIZE or 1000)',
      wholeNumber(1),
    )
    .option('--outbox-mb <n>', 'and their size in MB', wholeNumber(1), 1024)
    .action(runDetector)
}

async function runDetector(flags: DetectorFlags): Promise<void> {
  const [
    { runUntilAsked },
    { openLoopClient },
    { startDetector },
    { sayListening, sayReady, sayWaiting },
    { dataFolder },
  ] = await Promise.all([
    import('../run-until-asked.js'),
    import('../compose/loop-client.js'),
    import('../compose/detector.js'),
    import('../ready-line.js'),
    import('../context.js'),
  ])
  await runUntilAsked(
    async (context, closers) => {
      const folder = dataFolder(flags.data, context.environment)
      const loop = openLoopClient(context, closers, folder)
      const { port: asked = 8004, host } = nodeAddress(flags, context.environment)
      const settings = { ...flags, port: asked, host, folder }
      const { uuid, port, hasModel, serves, over } = await startDetector(settings, context, { closers, loop })
      const facts = { uuid, name: flags.name, port, url: `http://${host}:${port}` }
      sayListening('detector', facts)
      const project = `${context.environment.LOOP_ORGANIZATION}/${context.environment.LOOP_PROJECT}`
      if (!hasModel) sayWaiting('detector', `no model is loaded yet; one must be deployed to ${project} at the Loop`)
      void serves.then(() => sayReady('detector', facts))
      return { over }
    },
    {
      DATA_FOLDER: { option: '--data', value: flags.data },
      NODE_PORT: { option: '--port', value: flags.port },
      NODE_HOST: { option: '--host', value: flags.host },
      LOOPFLEET_THREADS: { option: '--threads', value: flags.threads },
      MAX_OUTBOX_SIZE: { option: '--outbox-images', value: flags.outboxImages },
    },
  )
}
