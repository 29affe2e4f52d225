import type { Command } from 'commander'

export function addRedisCommand(program: Command): void {
  program
    .command('redis')
    .description('the embedded Redis alone, on a private unix socket')
    .option('--data <dir>', 'folder of its files (default: DATA_FOLDER or ./data)')
    .action(runRedis)
}

async function runRedis(flags: { data?: string }): Promise<void> {
  const [{ runUntilAsked }, { dataFolder }, { startRedisServer }, { sayReady }, { hostEnvironment }, { join }] =
    await Promise.all([
      import('../run-until-asked.js'),
      import('../context.js'),
      import('../../queue/embedded-redis/index.js'),
      import('../ready-line.js'),
      import('../../config/index.js'),
      import('node:path'),
    ])
  await runUntilAsked(
    async ({ environment, log, signal }, closers) => {
      const folder = join(dataFolder(flags.data, environment), 'redis')
      const redis = await startRedisServer({ folder, path: hostEnvironment().PATH }, { log, signal })
      closers.add('redis', () => redis.close())
      sayReady('redis', { url: redis.url, pid: redis.pid })
      return {}
    },
    { DATA_FOLDER: { option: '--data', value: flags.data } },
  )
}
