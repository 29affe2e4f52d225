import type { Command } from 'commander'
import { InvalidInputError } from '../../base/index.js'
import { collect, gpuList, wholeNumber } from '../options.js'

type WorkerFlags = { trainer: string[]; converter: string[]; data?: string; gpus?: string[]; places?: number }

export function addWorkerCommand(program: Command): void {
  program
    .command('worker')
    .description('work on trainings and conversions: one host of the fleet')
    .option(
      '--trainer <file>',
      'trainer file (YAML or plug-in) this host can run; may be given several times',
      collect,
      [],
    )
    .option(
      '--converter <file>',
      'converter file (YAML or plug-in) this host can run; may be given several times',
      collect,
      [],
    )
    .option('--data <dir>', 'data folder of this host (default: DATA_FOLDER or ./data)')
    .option(
      '--gpus <list>',
      'GPUs to lend by index or UUID, such as 0,1, or "none" for the CPU (default: all of the machine)',
      gpuList,
    )
    .option('--places <n>', 'trainings, and conversions, at the same time (default: GPUs + 1)', wholeNumber(1, 1000))
    .action(runWorker)
}

async function runWorker(flags: WorkerFlags): Promise<void> {
  const [{ runUntilAsked }, { openFleetLink }, { openLoopClient }, { startWorker }, { readTrainer }] =
    await Promise.all([
      import('../run-until-asked.js'),
      import('../compose/fleet-link.js'),
      import('../compose/loop-client.js'),
      import('../compose/worker.js'),
      import('../compose/trainers.js'),
    ])
  const [{ sayReady }, { dataFolder }, { readConverters }] = await Promise.all([
    import('../ready-line.js'),
    import('../context.js'),
    import('../compose/converters.js'),
  ])
  await runUntilAsked(
    async (context, closers) => {
      if (flags.trainer.length + flags.converter.length === 0) {
        throw new InvalidInputError('A worker needs something to work on: give it --trainer FILE or --converter FILE.')
      }
      const trainers = await Promise.all(flags.trainer.map((file) => readTrainer(file, context)))
      const converters = await readConverters(flags.converter, context)
      const folder = dataFolder(flags.data, context.environment)
      const fleet = await openFleetLink(context, closers)
      const loop = openLoopClient(context, closers, folder)
      const settings = { folder, trainers, converters, gpus: flags.gpus, places: flags.places }
      const { hostId, gpus, lost } = await startWorker(settings, context, { closers, fleet, loop })
      sayReady('worker', { hostId, gpus })
      return { over: lost }
    },
    { DATA_FOLDER: { option: '--data', value: flags.data } },
  )
}
