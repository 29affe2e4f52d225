import { existsSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import process from 'node:process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { execa } from 'execa'

/** The folder of package.json: the tests lie in it, and compiled one folder further down. */
export const packageRoot = findRoot(dirname(fileURLToPath(import.meta.url)))
const main = join(packageRoot, 'dist/src/cli/main.js')
/** The command `loopfleet`, which needs one process of Node less than `main` for parts that get a parent. */
const loopfleet = join(packageRoot, 'dist/src/cli/launch/loopfleet.sh')

export type CliEnd = { readonly exitCode: number | undefined; readonly stdout: string; readonly stderr: string }

/** Runs `loopfleet …` as a person would, in a folder, with nothing of our environment but the PATH. */
export async function runCli(
  args: readonly string[],
  options: { readonly cwd: string; readonly env?: Readonly<Record<string, string>> },
): Promise<CliEnd> {
  const PATH = [dirname(process.execPath), process.env.PATH].filter(Boolean).join(delimiter)
  const { exitCode, stdout, stderr } = await execa(loopfleet, [...args], {
    cwd: options.cwd,
    env: { PATH, HOME: options.cwd, ...options.env },
    extendEnv: false,
    reject: false,
    timeout: 25_000,
  })
  return { exitCode, stdout, stderr }
}

export type RunningCli = {
  readonly pid: number
  /** What the ready line tells. */
  readonly facts: Readonly<Record<string, string>>
  end(signal: 'SIGTERM' | 'SIGINT' | 'SIGKILL'): Promise<number | undefined>
}

/** Starts a part that runs until it is asked to end, and waits for its ready line. */
export async function startCli(
  args: readonly string[],
  options: { readonly cwd: string; readonly env?: Readonly<Record<string, string>> },
): Promise<RunningCli> {
  const child = execa(process.execPath, [main, ...args], {
    cwd: options.cwd,
    env: { PATH: process.env.PATH ?? '', HOME: options.cwd, ...options.env },
    extendEnv: false,
    reject: false,
    buffer: { stdout: false, stderr: true },
    forceKillAfterDelay: false, // execa's is 5 s; its parent ends a part after 9 s
  })
  const lines = createInterface({ input: child.stdout })
  const facts = await new Promise<string | undefined>((resolve) => {
    lines.on('line', (line) => {
      const told = / is ready (\{.*\})$/.exec(line)?.[1]
      if (told !== undefined) resolve(told)
    })
    lines.once('close', () => resolve(undefined))
  })
  if (facts === undefined || child.pid === undefined) throw new Error(`It ended early: ${(await child).stderr}`)
  return {
    pid: child.pid,
    facts: JSON.parse(facts),
    async end(signal) {
      child.kill(signal)
      const { exitCode } = await child
      lines.close()
      return exitCode
    },
  }
}

function findRoot(folder: string): string {
  return existsSync(join(folder, 'package.json')) ? folder : findRoot(dirname(folder))
}
