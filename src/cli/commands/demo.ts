import type { Command } from 'commander'
import { wholeNumber } from '../options.js'

type DemoCommandFlags = {
  json: boolean
  keep: boolean
  data: string
  seed: number
  trainer?: string
  steps?: number
  short: boolean
}

export function addDemoCommand(program: Command): void {
  program
    .command('demo')
    .description('everything on this machine: a local Loop orders a training, a worker carries it out')
    .option('--json', 'print the summary as one JSON object on the last line', false)
    .option('--keep', 'leave everything running and print the addresses', false)
    .option('--data <dir>', 'folder of everything the demo makes; emptied first', 'data/demo')
    .option('--seed <n>', 'seed of the generated project', wholeNumber(0), 1)
    .option('--trainer <file>', 'trainer definition (default: examples/shapes-trainer)')
    .option('--steps <n>', 'train so many steps instead of the full budget', wholeNumber(1))
    .option('--short', 'train just long enough to see that it learns', false)
    .action(async (flags: DemoCommandFlags) => {
      const { runDemo } = await import('../demo/run-demo.js')
      await runDemo(flags)
    })
}
