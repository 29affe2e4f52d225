import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import process from 'node:process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { z } from 'zod'
import { cpuSecondsOf, memoryOf, resetPeak } from './proc.js'

export type Measured<Answer> = {
  readonly answer: Answer
  readonly cpuSeconds: number
  /** Peak of resident memory during the task, above what the process had when it was idle. */
  readonly peakOverIdleBytes: number
}

/** A program that says `ready`, then does one task per line of JSON and answers each with a line of JSON. */
export type MeasuredChild = {
  readonly pid: number
  run<Schema extends z.ZodType>(task: object, answer: Schema): Promise<Measured<z.output<Schema>>>
  end(): Promise<void>
}

export type ChildCommand = {
  readonly command: readonly [string, ...string[]]
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
}

/** Starts a program of this folder (named without its ending), from the sources or compiled, as we are. */
export function startOurs(script: URL, args: readonly string[] = []): Promise<MeasuredChild> {
  const isSource = import.meta.url.endsWith('.ts')
  const path = `${fileURLToPath(script)}${isSource ? '.ts' : '.js'}`
  return startMeasured({ command: [process.execPath, ...(isSource ? ['--import', 'tsx'] : []), path, ...args] })
}

export async function startMeasured({ command, env, cwd }: ChildCommand): Promise<MeasuredChild> {
  const [program, ...args] = command
  const child = spawn(program, args, { env: { ...basicEnvironment(), ...env }, cwd, stdio: ['pipe', 'pipe', 'pipe'] })
  const ended = once(child, 'exit')
  const errors = keepLast(child)
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const nextLine = async () => {
    const { value, done } = await lines.next()
    if (done !== true) return value
    await ended
    throw new Error(`${command.join(' ')} ended unexpectedly:\n${errors()}`)
  }
  for (;;) if ((await nextLine()) === 'ready') break
  const pid = child.pid ?? 0
  return {
    pid,
    async run(task, answer) {
      await resetPeak(pid)
      const before = { cpu: await cpuSecondsOf(pid), memory: await memoryOf(pid) }
      child.stdin.write(`${JSON.stringify(task)}\n`)
      const text = await nextLine()
      const after = { cpu: await cpuSecondsOf(pid), memory: await memoryOf(pid) }
      return {
        answer: answer.parse(JSON.parse(text)),
        cpuSeconds: after.cpu - before.cpu,
        peakOverIdleBytes: Math.max(0, after.memory.peakBytes - before.memory.nowBytes),
      }
    },
    async end() {
      child.stdin.end()
      const timer = setTimeout(() => child.kill('SIGKILL'), 5000)
      await ended
      clearTimeout(timer)
    },
  }
}

/** What every program of a bench may know of this machine, and nothing of a real Loop's account. */
export function basicEnvironment(): Record<string, string> {
  const names = ['PATH', 'HOME', 'LANG', 'TMPDIR'] as const
  return Object.fromEntries(names.flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : [])))
}

function keepLast(child: ChildProcess): () => string {
  let text = ''
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
    text = (text + chunk).slice(-4000)
  })
  return () => text
}
