import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, readFile, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { removeTree } from '../../src/base/files.js'
import { parseListeningLine, parseReadyLine, type ReadyFacts } from '../../src/cli/ready-line.js'
import { packageRoot } from '../cli/run-cli.js'
import { until } from '../helpers/until.js'

/** What stands in a page, and what takes its place: ports that are free, and less work. */
export type Replacement = readonly [shown: string, real: string]

type Background = { readonly child: ChildProcess; readonly logFile: string }

const RUNS_ON = /\bloopfleet (?:loop|up|redis|dashboard|trainer|worker|converter)\b|\blogs -f\b/
const READY_WITHIN_MS = 60_000

/**
 * Somebody who follows a page: writes its files into an empty folder and types its commands into a shell there. What
 * runs until it is asked to end goes on in the background.
 */
export class GuideWalk {
  readonly folder: string
  readonly #replacements: Replacement[]
  readonly #background: Background[] = []
  readonly #env: Record<string, string>
  #count = 0

  private constructor(folder: string, replacements: readonly Replacement[]) {
    this.folder = folder
    this.#replacements = [...replacements]
    const PATH = `${join(folder, 'bin')}:${process.env.PATH}`
    this.#env = { PATH, HOME: folder, LOOPFLEET_LOCK_MS: '2000' }
  }

  static async start(replacements: readonly Replacement[] = []): Promise<GuideWalk> {
    const folder = await mkdtemp(join(tmpdir(), 'loopfleet-guide-'))
    await mkdir(join(folder, 'bin'))
    const loopfleet = join(folder, 'bin/loopfleet')
    await writeFile(
      loopfleet,
      `#!/bin/sh\nexec '${process.execPath}' '${join(packageRoot, 'dist/src/cli/main.js')}' "$@"\n`,
    )
    await chmod(loopfleet, 0o755)
    await symlink(join(packageRoot, 'examples'), join(folder, 'examples'))
    return new GuideWalk(folder, replacements)
  }

  /** Blocks with `file=PATH` behind their language. */
  async writeFilesOf(page: string): Promise<void> {
    const text = await readFile(join(packageRoot, page), 'utf8')
    for (const [, path = '', content = ''] of text.matchAll(/^```\w+ file=(\S+)\n(.*?)^```/gms)) {
      await this.write(path, content)
    }
  }

  async write(path: string, content: string): Promise<void> {
    await mkdir(dirname(join(this.folder, path)), { recursive: true })
    await writeFile(join(this.folder, path), content)
  }

  /** From here on the page's text stands for something else. */
  replace(shown: string, real: string): void {
    this.#replacements.push([shown, real])
  }

  /** Types one line; throws when it fails. Answers what it printed, or for what goes on the facts of its ready line. */
  async type(line: string): Promise<{ readonly output: string; readonly facts: ReadyFacts }> {
    const real = this.#replacements.reduce((text, [shown, put]) => text.replaceAll(shown, put), line)
    const setting = /^export ([A-Z_]+=.*)$/.exec(real)?.[1]
    if (setting !== undefined) {
      for (const word of setting.split(' '))
        this.#env[word.slice(0, word.indexOf('='))] = word.slice(word.indexOf('=') + 1)
      return { output: '', facts: {} }
    }
    const logFile = join(this.folder, `typed-${++this.#count}.log`)
    const child = this.#spawn(real, logFile)
    if (!RUNS_ON.test(real)) return { output: await finished(child, real, logFile), facts: {} }
    this.#background.push({ child, logFile })
    return this.#ready(child, real, logFile)
  }

  /** Ends what goes on, the newest first. */
  async end(): Promise<void> {
    for (const { child } of this.#background.reverse()) {
      if (child.exitCode === null && child.signalCode === null) {
        const over = new Promise((resolve) => child.once('exit', resolve))
        child.kill('SIGTERM')
        const timer = setTimeout(() => child.kill('SIGKILL'), 20_000)
        await over
        clearTimeout(timer)
      }
    }
    await removeTree(this.folder)
  }

  #spawn(line: string, logFile: string): ChildProcess {
    const output = openSync(logFile, 'w')
    // What goes on takes the place of its shell, so that a signal reaches it.
    const script = RUNS_ON.test(line) ? line.replace(/\bloopfleet /, 'exec loopfleet ') : line
    const command = ['--pdeathsig', 'KILL', 'bash', '-euc', script]
    const child = spawn('setpriv', command, { cwd: this.folder, env: this.#env, stdio: ['ignore', output, output] })
    closeSync(output)
    return child
  }

  async #ready(child: ChildProcess, line: string, logFile: string) {
    return until(
      `${line} is ready`,
      async () => {
        const output = await readFile(logFile, 'utf8')
        const ready = output
          .split('\n')
          .map((each) => parseReadyLine(each) ?? parseListeningLine(each)) // a detector without a model listens
          .find((found) => found !== undefined)
        if (ready !== undefined) return { output, facts: ready.facts }
        if (line.includes('logs -f') && output !== '') return { output, facts: {} }
        if (child.exitCode !== null) throw new Error(`\`${line}\` ended: ${output.slice(-2000)}`)
        return undefined
      },
      READY_WITHIN_MS,
    )
  }
}

async function finished(child: ChildProcess, line: string, logFile: string): Promise<string> {
  const code = await new Promise((resolve) => child.once('exit', resolve))
  const output = await readFile(logFile, 'utf8')
  if (code !== 0) throw new Error(`\`${line}\` exited with ${code}: ${output.slice(-2000)}`)
  return output
}
