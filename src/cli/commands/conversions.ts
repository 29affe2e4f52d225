import type { Command } from 'commander'
import { wholeNumber } from '../options.js'

/** `loopfleet conversions …`: look at conversions and retry failed ones; ID is a whole id or a unique beginning. */
export function addConversionsCommand(program: Command): void {
  const id = 'whole id or unique beginning of one'
  const conversions = program
    .command('conversions')
    .description('the conversions of the fleet, the newest first')
    .option('--json', 'one JSON array', false)
    .option('--limit <n>', 'how many', wholeNumber(1, 10_000), 20)
    .option('--failed', 'only those that failed', false)
    .action(async (flags: { json: boolean; limit: number; failed: boolean }) => (await load()).list(flags))
  conversions
    .command('show')
    .description('all about one conversion')
    .argument('<id>', id)
    .option('--json', 'one JSON object', false)
    .action(async (wanted: string, _flags: object, command: Command) =>
      (await load()).show(wanted, command.optsWithGlobals()),
    )
  conversions
    .command('logs')
    .description('the log of a conversion')
    .argument('<id>', id)
    .option('-f, --follow', 'go on until the conversion ends', false)
    .action(async (wanted: string, flags: { follow: boolean }) => (await load()).logs(wanted, flags))
  conversions
    .command('retry')
    .description('convert a model again that failed')
    .argument('[id]', id)
    .option('--all', 'every model that failed', false)
    .option('--json', 'one JSON array of ids', false)
    .action(async (wanted: string | undefined, _flags: object, command: Command) =>
      (await load()).retry(wanted, command.optsWithGlobals()),
    )
}

const load = () => import('../look/conversions.js')
