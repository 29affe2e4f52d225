import type { Command } from 'commander'
import { wholeNumber } from '../options.js'

/** `loopfleet trainings …`: look at trainings and act on one; ID is a whole id, a unique beginning, or org/project#number. */
export function addTrainingsCommand(program: Command): void {
  const id = 'whole id, unique beginning of one, or organization/project#number'
  const trainings = program
    .command('trainings')
    .description('the trainings of the fleet, the newest first')
    .option('--json', 'one JSON array', false)
    .option('--limit <n>', 'how many', wholeNumber(1, 10_000), 20)
    .action(async (flags: { json: boolean; limit: number }) => (await load()).list(flags))
  trainings
    .command('show')
    .description('all about one training')
    .argument('<id>', id)
    .option('--json', 'one JSON object', false)
    .action(async (wanted: string, _flags: object, command: Command) =>
      (await load()).show(wanted, command.optsWithGlobals()),
    )
  trainings
    .command('logs')
    .description('the log of a training')
    .argument('<id>', id)
    .option('-f, --follow', 'go on until the training ends', false)
    .action(async (wanted: string, flags: { follow: boolean }) => (await load()).logs(wanted, flags))
  for (const action of ['retry', 'stop', 'abort'] as const) {
    trainings
      .command(action)
      .description(meanings[action])
      .argument('<id>', id)
      .option('--json', 'one JSON object', false)
      .action(async (wanted: string, _flags: object, command: Command) =>
        (await load()).act(action, wanted, command.optsWithGlobals()),
      )
  }
}

const meanings = {
  retry: 'take a failed training up again from the step that failed, or one that waits for a person',
  stop: 'end the training program and keep the best model so far',
  abort: 'end the training and throw its work away',
}

const load = () => import('../look/trainings.js')
