import { Command } from 'commander'
import { addConversionsCommand } from './commands/conversions.js'
import { addConverterCommand } from './commands/converter.js'
import { addDashboardCommand } from './commands/dashboard.js'
import { addDemoCommand } from './commands/demo.js'
import { addDetectorCommand } from './commands/detector.js'
import { addHostsCommand } from './commands/hosts.js'
import { addLoopCommand } from './commands/loop.js'
import { addNodeCommands } from './commands/nodes.js'
import { addRedisCommand } from './commands/redis.js'
import { addStatusCommand } from './commands/status.js'
import { addTrainerCommand } from './commands/trainer.js'
import { addTrainingsCommand } from './commands/trainings.js'
import { addUpCommand } from './commands/up.js'
import { addWorkerCommand } from './commands/worker.js'

/** All commands with their help; what a command needs is imported when it runs, since some packages load slowly. */
export function createProgram(): Command {
  const program = new Command('loopfleet')
    .description('Queue-based fleet of trainers for the Zauberzeug Learning Loop.')
    .version('0.1.0')
    .showHelpAfterError('(add --help for all options)')
  addDemoCommand(program)
  addUpCommand(program)
  addTrainerCommand(program)
  addWorkerCommand(program)
  addConverterCommand(program)
  addNodeCommands(program)
  addDetectorCommand(program)
  addLoopCommand(program)
  addRedisCommand(program)
  addDashboardCommand(program)
  addStatusCommand(program)
  addTrainingsCommand(program)
  addHostsCommand(program)
  addConversionsCommand(program)
  return nameUnknownSubcommands(program)
}

// `trainings` and the like act by themselves too; commander would only count what is too much for that.
function nameUnknownSubcommands(program: Command): Command {
  for (const group of program.commands.filter(hasSubcommands)) group.allowExcessArguments()
  return program.hook('preAction', (_program, command) => {
    const [unknown] = command.args
    if (!hasSubcommands(command) || unknown === undefined) return
    const names = command.commands.map((each) => each.name()).join(', ')
    command.error(`error: unknown command '${command.name()} ${unknown}'; there are ${names}`)
  })
}

function hasSubcommands({ commands }: Command): boolean {
  return commands.length > 0
}
