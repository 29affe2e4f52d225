import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { execa } from 'execa'
import { PYTHON_BYTECODE } from '../helpers/python-environment.js'

export type PythonNode = {
  /** The last lines it printed, for messages. */
  lastLines(): string
  readonly exited: Promise<unknown>
  end(): Promise<void>
}

export type PythonNodeOptions = {
  readonly interpreter: string
  readonly script: URL
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
}

/** Starts a node written with the Python library, with a complete environment of its own. */
export function startPythonNode({ interpreter, script, args, env, cwd }: PythonNodeOptions): PythonNode {
  const lines: string[] = []
  const complete = { PATH: process.env.PATH ?? '', PYTHONUNBUFFERED: '1', ...PYTHON_BYTECODE, ...env }
  const child = execa(interpreter, [fileURLToPath(script), ...args], {
    cwd,
    env: complete,
    extendEnv: false,
    all: true,
    buffer: false,
    reject: false,
  })
  child.all.setEncoding('utf8').on('data', (text: string) => {
    lines.push(...text.split('\n'))
    lines.splice(0, lines.length - 80)
  })
  return {
    lastLines: () => lines.join('\n'),
    exited: child,
    end: async () => {
      child.kill('SIGKILL') // release 0.8.2 may take long to end by itself
      await child
    },
  }
}

/** The files of the installed library that are not as they were published, by the hashes of its own RECORD. */
export async function changedFiles(interpreter: string, version: string): Promise<readonly string[]> {
  const { stdout } = await execa(interpreter, ['-c', 'import sysconfig; print(sysconfig.get_path("purelib"))'])
  const folder = stdout.trim()
  const record = await readFile(join(folder, `learning_loop_node-${version}.dist-info/RECORD`), 'utf8')
  const entries = record
    .split('\n')
    .filter((line) => line.startsWith('learning_loop_node/') && line.includes('sha256='))
  if (entries.length < 20) throw new Error(`The RECORD of ${dirname(folder)} lists ${entries.length} files only.`)
  const changed: string[] = []
  for (const entry of entries) {
    const [path = '', hash = ''] = entry.split(',')
    if (hash !== `sha256=${await digestOf(join(folder, path))}`) changed.push(path)
  }
  return changed
}

async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path)) hash.update(chunk)
  return hash.digest('base64url')
}
