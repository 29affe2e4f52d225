import type { Command } from 'commander'

/** `loopfleet hosts …`: the machines of the fleet; a draining one can be switched off when it has no training left. */
export function addHostsCommand(program: Command): void {
  const hosts = program
    .command('hosts')
    .description('the hosts of the fleet with their places and GPUs')
    .option('--json', 'one JSON array', false)
    .action(async (flags: { json: boolean }) => (await load()).list(flags))
  for (const action of ['drain', 'undrain'] as const) {
    hosts
      .command(action)
      .description(meanings[action])
      .argument('<host>', 'name of the host')
      .option('--json', 'one JSON object', false)
      .action(async (host: string, _flags: object, command: Command) =>
        (await load()).drain(host, action === 'drain', command.optsWithGlobals()),
      )
  }
  hosts
    .command('resume')
    .description('lift what is suspended of a host, since it failed there and worked elsewhere')
    .argument('<host>', 'name of the host')
    .option('--json', 'one JSON object', false)
    .action(async (host: string, _flags: object, command: Command) =>
      (await load()).resume(host, command.optsWithGlobals()),
    )
}

const meanings = {
  drain: 'let a host finish its trainings and take no more',
  undrain: 'let a host take trainings again',
}

const load = () => import('../look/hosts.js')
