import type { Command } from 'commander'
import { portNumber } from '../options.js'

type DashboardFlags = { port: number; host: string }

export function addDashboardCommand(program: Command): void {
  program
    .command('dashboard')
    .description('web page of the fleet: trainings, hosts with their GPUs, nodes and queues')
    .option('--port <port>', 'port to listen on; 0 takes a free one', portNumber, 9090)
    .option('--host <address>', 'address to bind to; others than 127.0.0.1 need LOOPFLEET_DASHBOARD_TOKEN', '127.0.0.1')
    .action(runDashboard)
}

async function runDashboard(flags: DashboardFlags): Promise<void> {
  const [{ runUntilAsked }, { openFleetLink }, { createDashboard }, { checkAccess }, { sayReady }] = await Promise.all([
    import('../run-until-asked.js'),
    import('../compose/fleet-link.js'),
    import('../../dashboard/index.js'),
    import('../../dashboard/index.js'),
    import('../ready-line.js'),
  ])
  await runUntilAsked(async (context, closers) => {
    const { LOOPFLEET_DASHBOARD_TOKEN: token, LOOPFLEET_ALLOWED_HOSTS: allowedHosts } = context.environment
    const options = { ...flags, token, allowedHosts, ending: context.signal }
    checkAccess(options) // first, so that a bad flag fails immediately
    const fleet = await openFleetLink(context, closers)
    const dashboard = createDashboard(options, { ...fleet, log: context.log })
    closers.add('dashboard', () => dashboard.close())
    const url = await dashboard.listen()
    sayReady('dashboard', { url })
    return {}
  })
}
