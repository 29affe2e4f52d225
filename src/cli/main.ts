#!/usr/bin/env node
import process from 'node:process'
import { takeHandedEnvironment } from '../config/index.js'
import { bearBrokenPipes } from './broken-pipe.js'
import { finalErrorOf } from './final-error.js'
import { lacksParent, launchBelow } from './launch/launch.js'

const CHECK_PARENT_MS = 1000

bearBrokenPipes()
if (takeHandedEnvironment()) endWithParent()
const args = process.argv.slice(2)
// The last border: a clear sentence for what we know, a stack trace only for our own mistakes.
try {
  if (lacksParent(args)) await launchBelow(args)
  else await run()
} catch (error) {
  const known = finalErrorOf(error)
  if (known === undefined) throw error
  process.stderr.write(`${known.sentence}\n`)
  process.exitCode = known.exitCode
}

async function run(): Promise<void> {
  const { createProgram } = await import('./program.js')
  await createProgram().parseAsync()
}

/**
 * Ends this process when its parent has been killed. The kernel does that too where setpriv knows --pdeathsig; no
 * part may continue without the process that passes signals to it.
 */
function endWithParent(): void {
  const parent = process.ppid
  setInterval(() => {
    if (process.ppid !== parent) process.kill(process.pid, 'SIGKILL')
  }, CHECK_PARENT_MS).unref()
}
