import { lstat } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { execa } from 'execa'
import { helperEnvironment, nvidiaVariables } from '../../base/index.js'
import { findProgram, ProgramNotFoundError } from '../../process/index.js'
import { killTree } from './own-children.js'

/** What one run of nvidia-smi has brought, however it ended. */
export type SmiAnswer =
  | {
      readonly kind: 'ended'
      readonly stdout: string
      readonly stderr: string
      /** Null when a signal ended it. */
      readonly exitCode: number | null
      readonly isCut: boolean
      readonly tookMs: number
      /** The PATH has it, where node-nvidia-smi finds it. */
      readonly isOnPath: boolean
    }
  | { readonly kind: 'absent' }
  /** It was ended; `isStuck`: it has not ended in spite of that, which only the kernel can do. */
  | { readonly kind: 'late'; readonly afterMs: number; readonly isStuck: boolean }
  | { readonly kind: 'not-started'; readonly reason: string }

type AskOptions = { readonly timeoutMs: number; readonly signal?: AbortSignal | undefined }

export type NvidiaSmi = { ask(args: readonly string[], options: AskOptions): Promise<SmiAnswer> }

/** A host with many thousands of listed processes stays below this. */
const MAX_BYTES = 16 * 1024 * 1024
const KILL_WAIT_MS = 500
/** Where drivers put the tool when the PATH of a service leaves the folder out: WSL, Google's COS, most others. */
const USUAL_FOLDERS = ['/usr/bin', '/usr/local/bin', '/usr/lib/wsl/lib', '/usr/local/nvidia/bin', '/opt/bin']

/**
 * Runs nvidia-smi; output beyond 16 MiB is cut. A driver may hold a process in the kernel where no signal reaches it:
 * then the answer comes within the time-out all the same, and no second one is started until the first has ended.
 */
export function createNvidiaSmi(options: { readonly path: string | undefined; readonly root?: string }): NvidiaSmi {
  const { path, root = '' } = options
  let stuck: Promise<unknown> | undefined

  async function find(): Promise<{ readonly file: string; readonly isOnPath: boolean } | undefined> {
    const usual = USUAL_FOLDERS.map((folder) => root + folder).join(delimiter)
    for (const [isOnPath, folders] of [[true, path] as const, [false, usual] as const]) {
      try {
        return { file: await findProgram('nvidia-smi', { cwd: '/', path: folders }), isOnPath }
      } catch (error) {
        if (!(error instanceof ProgramNotFoundError)) throw error
      }
    }
    return undefined
  }

  /** A file without the right to run it, or a link to a driver that was removed: not the same as no tool. */
  async function findUnusable(): Promise<string | undefined> {
    for (const folder of [...(path ?? '').split(delimiter), ...USUAL_FOLDERS.map((usual) => root + usual)]) {
      const file = join(folder, 'nvidia-smi')
      const facts = await lstat(file).catch(() => undefined)
      if (facts?.isFile() === true || facts?.isSymbolicLink() === true) return file
    }
    return undefined
  }

  return {
    async ask(args, { timeoutMs, signal }) {
      if (stuck !== undefined) return { kind: 'late', afterMs: timeoutMs, isStuck: true }
      const tool = await find()
      if (tool === undefined) {
        const unusable = await findUnusable()
        return unusable === undefined
          ? { kind: 'absent' }
          : { kind: 'not-started', reason: `${unusable} is no program` }
      }
      const { execa } = await import('execa') // it loads slowly, and most hosts of a fleet's other parts have no tool
      const startedAt = performance.now()
      const running = execa(tool.file, args, {
        reject: false,
        stdin: 'ignore',
        maxBuffer: MAX_BYTES,
        stripFinalNewline: false,
        env: helperEnvironment(nvidiaVariables),
        extendEnv: false,
      })
      let result = await Promise.race([running, late(timeoutMs, signal)])
      if (result === LATE) {
        const { pid } = running
        if (pid !== undefined) await killTree(pid).catch(() => undefined) // it has ended, or is stuck in the kernel
        result = await Promise.race([running, late(KILL_WAIT_MS, undefined)])
        // A tool that has said everything and only does not end has answered.
        if (result === LATE || !hasAnswered(result.stdout)) {
          return { kind: 'late', afterMs: timeoutMs, isStuck: result === LATE && letGo(running) }
        }
      }
      const { code, exitCode = null, isMaxBuffer: isCut, originalMessage = '', stdout, stderr } = result
      if (exitCode === null && result.signal === undefined && !isCut) {
        return { kind: 'not-started', reason: originalMessage || `code ${code}` }
      }
      const tookMs = performance.now() - startedAt
      return { kind: 'ended', stdout, stderr, exitCode, isCut, tookMs, isOnPath: tool.isOnPath }
    },
  }

  /** Returns whether it still runs; then nothing else is started until it has ended. */
  function letGo(running: ReturnType<typeof execa>): boolean {
    running.unref()
    running.stdout?.destroy()
    running.stderr?.destroy()
    if (running.exitCode !== null || running.signalCode !== null) return false // what it has started holds its output
    const ended = new Promise<void>((resolve) => running.once('exit', () => resolve()))
    stuck = ended.then(() => {
      stuck = undefined
    })
    return true
  }
}

function hasAnswered(stdout: string): boolean {
  return stdout.includes('</nvidia_smi_log>')
}

const LATE = Symbol('late')

async function late(ms: number, signal: AbortSignal | undefined): Promise<typeof LATE> {
  await sleep(ms, undefined, { signal, ref: false }).catch(() => undefined) // an abort ends the waiting, too
  return LATE
}
