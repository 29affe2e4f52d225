import type { Command } from 'commander'

export function addStatusCommand(program: Command): void {
  program
    .command('status')
    .description('hosts, nodes and queues of the fleet')
    .option('--json', 'one JSON object', false)
    .action(async (flags: { json: boolean }) => {
      const { status } = await import('../look/status.js')
      await status(flags)
    })
}
