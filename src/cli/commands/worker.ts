import type { Command } from 'commander'
import { collect, gpuList, wholeNumber } from '../options.js'

type WorkerFlags = { trainer: string[]; data?: string; gpus?: number[]; places?: number }

export function addWorkerCommand(program: Command): void {
  program
    .command('worker')
    .description('work on trainings: one host of the fleet')
    .requiredOption(
      '--trainer <file>',
      'trainer file (YAML or plug-in) this host can run; may be given several times',
      collect,
    )
    .option('--data <dir>', 'data folder of this host (default: DATA_FOLDER or ./data)')
    .option('--gpus <list>', 'GPUs to lend, such as 0,1, or "none" for the CPU (default: all of the machine)', gpuList)
    .option('--places <n>', 'trainings in work at once (default: GPUs + 1)', wholeNumber(1, 1000))
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
  const [{ sayReady }, { dataFolder }] = await Promise.all([import('../ready-line.js'), import('../context.js')])
  await runUntilAsked(async (context, closers) => {
    const trainers = await Promise.all(flags.trainer.map((file) => readTrainer(file, context)))
    const folder = dataFolder(flags.data, context.environment)
    const fleet = await openFleetLink(context, closers)
    const loop = openLoopClient(context, closers, folder)
    const settings = { folder, trainers, gpus: flags.gpus, places: flags.places }
    const { hostId, gpus, lost } = await startWorker(settings, context, { closers, fleet, loop })
    sayReady('worker', { hostId, gpus })
    return { over: lost }
  })
}
