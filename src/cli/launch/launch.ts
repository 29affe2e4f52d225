import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { hasParent } from '../../config/index.js'

/** As in parent.sh: `timeout` signals a process and then its group, so that the process gets the same signal twice. */
const SAME_SIGNAL_MS = 500
const LAUNCH = fileURLToPath(new URL('./launch.sh', import.meta.url))
const MAIN = fileURLToPath(new URL('../main.js', import.meta.url))

/**
 * The commands that answer and end; loopfleet.sh has the same list. All others are parts, which need a parent.
 * @internal since a test compares it with the list in loopfleet.sh.
 */
export const shortCommands: readonly string[] = ['conversions', 'help', 'hosts', 'status', 'trainings']

/**
 * Whether the command runs until it is asked to end; without a command there is only help.
 * @internal since tests start these commands under a parent, as loopfleet.sh does.
 */
export function isLasting(command = '-'): boolean {
  return !command.startsWith('-') && !shortCommands.includes(command)
}

/** Whether the command needs a parent (parent.sh) that this process does not have. */
export function lacksParent([command]: readonly string[]): boolean {
  return isLasting(command) && !hasParent()
}

/** The words that start a command of this program under a parent. */
export function launchCommand(args: readonly string[]): [string, ...string[]] {
  return ['/bin/sh', LAUNCH, process.execPath, ...process.execArgv, MAIN, ...args]
}

/**
 * For `node dist/src/cli/main.js COMMAND`, since Node cannot replace itself by another program: starts the command under
 * a parent, relays the signals to that and ends as it ends.
 */
export async function launchBelow(args: readonly string[]): Promise<void> {
  const [program, ...words] = endsWithUs(launchCommand(args))
  const child = spawn(program, words, { stdio: 'inherit' })
  let signals = 0
  let latest: { readonly name: string; readonly at: number } | undefined
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => {
      const at = performance.now()
      if (latest?.name === name && at - latest.at < SAME_SIGNAL_MS) return
      latest = { name, at }
      signals += 1
      // Another signal than ours: one that a terminal sent to the whole group has already reached the parent.
      child.kill(signals === 1 ? 'SIGUSR1' : 'SIGUSR2')
    })
  }
  const { exitCode, signal } = await new Promise<{ exitCode: number | null; signal: NodeJS.Signals | null }>(
    (resolve, reject) => {
      child.once('error', reject)
      child.once('exit', (code, by) => resolve({ exitCode: code, signal: by }))
    },
  )
  if (signal === null) process.exitCode = exitCode ?? 1
  else if (signals > 0) process.exitCode = 143
  else process.kill(process.pid, signal)
}

const SETPRIV = ['/usr/bin/setpriv', '/bin/setpriv'].find((path) => existsSync(path))

// The kernel ends it when we are killed.
function endsWithUs(command: readonly [string, ...string[]]): readonly [string, ...string[]] {
  return SETPRIV === undefined ? command : [SETPRIV, '--pdeathsig', 'KILL', ...command]
}
