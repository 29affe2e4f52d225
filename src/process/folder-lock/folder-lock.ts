import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { helperEnvironment, LoopfleetError, safePathSegment } from '../../base/index.js'

/** Another process holds the folder. */
class FolderLockedError extends LoopfleetError {
  static {
    this.prototype.name = 'FolderLockedError'
  }
  constructor(details: { readonly folder: string; readonly lock: string; readonly holder: string | undefined }) {
    const holder = details.holder === undefined ? 'another process' : `process ${details.holder}`
    const message = `The folder ${details.folder} is in use by ${holder}; stop that one, or use another folder here.`
    super('LF_FOLDER_LOCKED', message, { details })
  }
}

/** The lock was taken from this process while it held it; what relies on the lock must stop. */
class FolderLockLostError extends LoopfleetError {
  static {
    this.prototype.name = 'FolderLockLostError'
  }
  constructor(details: { readonly folder: string; readonly lock: string }) {
    super('LF_FOLDER_LOCK_LOST', `The lock on the folder ${details.folder} was lost: its holder was ended.`, {
      details,
    })
  }
}

/** The machine cannot lock folders. */
class FolderLockFailedError extends LoopfleetError {
  static {
    this.prototype.name = 'FolderLockFailedError'
  }
  constructor(details: { readonly folder: string; readonly problem: string }, cause?: unknown) {
    super('LF_FOLDER_LOCK_FAILED', `The folder ${details.folder} cannot be locked: ${details.problem}.`, {
      details,
      cause,
    })
  }
}

export type FolderLock = {
  /** Resolves with an error when the lock was lost; stays open otherwise, also after `release`. */
  readonly lost: Promise<FolderLockLostError>
  release(): Promise<void>
}

const HELD = 'held'
/** Says that it holds the lock, then lives as long as its input, the pipe to us, is open. */
const HOLDER = `echo ${HELD}; exec cat >/dev/null`
const BUSY_EXIT_CODE = 1

/**
 * Locks `<folder>/<name>.lock` in the kernel, by a child that dies with us in whatever way we end (also kill -9).
 * Throws LF_FOLDER_LOCKED when somebody else holds it.
 */
export async function lockFolder(folder: string, name: string): Promise<FolderLock> {
  const whole = resolve(folder)
  await mkdir(whole, { recursive: true })
  const lock = join(whole, `${safePathSegment(name)}.lock`)
  const holder = startHolder(lock)
  if (!(await saysHeld(holder))) {
    const { exitCode, stderr, error } = await holder.ended
    if (exitCode === BUSY_EXIT_CODE && stderr === '') {
      throw new FolderLockedError({ folder: whole, lock, holder: await holderOf(lock) })
    }
    const problem = stderr || error?.message || `flock exited with ${exitCode}`
    throw new FolderLockFailedError({ folder: whole, problem }, error)
  }
  await writeFile(lock, `${process.pid}\n`) // for people and for the message above; never removed, or two could hold it
  return heldLock(holder, { folder: whole, lock })
}

type Holder = ReturnType<typeof startHolder>

function startHolder(lock: string) {
  const child = spawn('flock', ['-n', lock, 'sh', '-c', HOLDER], {
    detached: true, // Ctrl-C on a terminal goes to all of our group while we still tidy up
    env: helperEnvironment(), // without our marks, so that no sweep finds it
  })
  child.stdin.on('error', () => undefined) // it has ended: `ended` says so
  return { child, ended: endOf(child) }
}

type HolderEnd = { readonly exitCode: number | null; readonly stderr: string; readonly error?: Error }

function endOf(child: ChildProcessWithoutNullStreams): Promise<HolderEnd> {
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  return new Promise((resolve) => {
    child.once('error', (error) => resolve({ exitCode: null, stderr: '', error })) // it could not be started
    child.once('close', (exitCode) => resolve({ exitCode, stderr: stderr.trim() }))
  })
}

async function saysHeld({ child, ended }: Holder): Promise<boolean> {
  return new Promise((resolve) => {
    child.stdout.once('data', () => resolve(true))
    void ended.then(() => resolve(false))
  })
}

function heldLock({ child, ended }: Holder, where: { readonly folder: string; readonly lock: string }): FolderLock {
  let released = false
  const lost = new Promise<FolderLockLostError>((tell) => {
    child.once('exit', () => {
      if (!released) tell(new FolderLockLostError(where))
    })
  })
  const release = async (): Promise<void> => {
    released = true
    child.stdin.end()
    await ended
  }
  return { lost, release }
}

async function holderOf(lock: string): Promise<string | undefined> {
  const text = await readFile(lock, 'utf8').catch(() => '') // only for the message
  return /^\d+$/.test(text.trim()) ? text.trim() : undefined
}
