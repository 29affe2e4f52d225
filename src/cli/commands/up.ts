import type { Command } from 'commander'
import { collect, gpuList, portNumber, wholeNumber } from '../options.js'
import type { UpFlags } from '../up/run-up.js'

export function addUpCommand(program: Command): void {
  program
    .command('up')
    .description(
      'a node on this machine alone: Redis, trainer and converter nodes, a worker and the dashboard in one process tree',
    )
    .option('--trainer <file>', 'trainer file (YAML or plug-in); may be given several times', collect, [])
    .option('--converter <file>', 'converter file (YAML or plug-in); may be given several times', collect, [])
    .option(
      '--seats <n>',
      'identities of each trainer at the Loop; more than GPUs means a queue',
      wholeNumber(1, 1000),
      1,
    )
    .option('--data <dir>', 'data folder (default: DATA_FOLDER or ./data)')
    .option(
      '--gpus <list>',
      'GPUs to lend by index or UUID, such as 0,1, or "none" for the CPU (default: all of the machine)',
      gpuList,
    )
    .option('--places <n>', 'trainings at the same time (default: GPUs + 1)', wholeNumber(1, 1000))
    .option('--port <port>', 'port of the dashboard; 0 takes a free one', portNumber, 9090)
    .option(
      '--host <address>',
      'address of the dashboard; others than 127.0.0.1 need LOOPFLEET_DASHBOARD_TOKEN',
      '127.0.0.1',
    )
    .action(async (flags: UpFlags) => {
      const { runUp } = await import('../up/run-up.js')
      await runUp(flags)
    })
}
