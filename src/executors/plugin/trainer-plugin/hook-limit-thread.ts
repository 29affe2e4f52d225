import { appendFileSync, writeSync } from 'node:fs'
import process from 'node:process'
import { parentPort, workerData } from 'node:worker_threads'
import { z } from 'zod'
import type { HookNote } from './hook-limit.js'

// The thread that watches the hooks of its process, which may have stopped doing anything else.
const { limitMs, eventsFile } = z.object({ limitMs: z.number(), eventsFile: z.string() }).parse(workerData)
const STANDARD_ERROR = 2
const timers = new Map<number, NodeJS.Timeout>()

parentPort?.on('message', ({ id, name }: HookNote) => {
  clearTimeout(timers.get(id))
  timers.delete(id)
  if (name !== null)
    timers.set(
      id,
      setTimeout(() => endProcess(name), limitMs),
    )
})

function endProcess(name: string): void {
  const message = `The hook "${name}" took longer than ${limitMs / 1000} s.`
  appendFileSync(eventsFile, `${JSON.stringify({ event: 'error', message })}\n`)
  writeSync(STANDARD_ERROR, `${message}\n`)
  process.kill(process.pid, 'SIGALRM') // its handlers cannot run, but for this signal there is none
}
