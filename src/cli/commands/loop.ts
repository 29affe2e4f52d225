import type { Command } from 'commander'
import { collect, portNumber, wholeNumber } from '../options.js'

type LoopFlags = {
  port: number
  host: string
  data?: string
  seed: number
  username?: string
  password?: string
  fault?: string[]
}

export function addLoopCommand(program: Command): void {
  program
    .command('loop')
    .description('a local Loop server for development, tests and demos')
    .option('--port <port>', 'port to listen on; 0 takes a free one', portNumber, 8000)
    .option('--host <address>', 'address to bind to', '127.0.0.1')
    .option('--data <dir>', 'folder of its projects (default: DATA_FOLDER/loop or ./data/loop)')
    .option('--seed <n>', 'seed of generated projects', wholeNumber(0), 1)
    .option('--username <name>', 'ask for a login with this name')
    .option('--password <password>', 'and this password')
    .option('--fault <json>', 'fault to inject, see docs/local-loop.md; may be given several times', collect)
    .action(runLoop)
}

async function runLoop(flags: LoopFlags): Promise<void> {
  const [{ runUntilAsked }, { dataFolder }, { startLocalLoop }, { parseFault }, { sayReady }, { join }] =
    await Promise.all([
      import('../run-until-asked.js'),
      import('../context.js'),
      import('../../mock/loop/index.js'),
      import('../parse-fault.js'),
      import('../ready-line.js'),
      import('node:path'),
    ])
  await runUntilAsked(
    async ({ environment, log, signal }, closers) => {
      const { port, host, seed, username, password } = flags
      const folder =
        flags.data === undefined
          ? join(dataFolder(undefined, environment), 'loop')
          : dataFolder(flags.data, environment)
      const faults = (flags.fault ?? []).map(parseFault)
      const { LOOPFLEET_ALLOWED_HOSTS: allowedHosts } = environment
      const options = { port, host, folder, seed, username, password, faults, allowedHosts, ending: signal }
      const loop = await startLocalLoop(options, { log })
      closers.add('local Loop', () => loop.close())
      sayReady('loop', { url: loop.url, host: loop.host })
      return {}
    },
    { DATA_FOLDER: { option: '--data', value: flags.data } },
  )
}
