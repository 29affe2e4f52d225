import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { execa } from 'execa'
import { LoopfleetError } from '../../src/base/errors.js'
import { removeTree } from '../../src/base/files.js'
import { type FolderLock, lockFolder } from '../../src/process/folder-lock/folder-lock.js'
import { projectRoot } from './project-root.js'

/** Where Python keeps the compiled modules: not beside them, but from one start to the next. */
export const PYTHON_BYTECODE = {
  PYTHONPYCACHEPREFIX: join(projectRoot(), '.cache/python-bytecode'),
  PYTHONDONTWRITEBYTECODE: '', // unlike on some machines
}

/**
 * The Python interpreter of a virtual environment with these requirements, made on first use and kept in `.cache`.
 * Throws a sentence that names `what` when it cannot be had.
 */
export async function pythonEnvironment(what: string, requirements: URL): Promise<string> {
  const version = await python('python3', ['--version'], what)
  const hash = createHash('sha256')
    .update(await readFile(requirements))
    .update(version)
    .digest('hex')
    .slice(0, 12)
  const folder = join(projectRoot(), '.cache/python-nodes', `${what.replaceAll(/[^\w.-]+/g, '-')}-${hash}`)
  const interpreter = join(folder, 'bin/python')
  const isComplete = join(folder, 'complete')
  const lock = await lockWhenFree(`${folder}.lock`)
  try {
    if (existsSync(isComplete)) return interpreter
    await removeTree(folder) // what an interrupted run has left
    await python('python3', ['-m', 'venv', folder], what)
    const install = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-compile', '--no-deps']
    await python(interpreter, [...install, '-r', fileURLToPath(requirements)], what)
    await writeFile(isComplete, version)
    return interpreter
  } finally {
    await lock.release()
  }
}

/** Two test processes run side by side and may want the same environment. */
async function lockWhenFree(folder: string): Promise<FolderLock> {
  for (;;) {
    try {
      return await lockFolder(folder, 'install')
    } catch (error) {
      if (!(error instanceof LoopfleetError) || error.code !== 'LF_FOLDER_LOCKED') throw error
      await sleep(500)
    }
  }
}

async function python(program: string, args: readonly string[], what: string): Promise<string> {
  const { failed, all, originalMessage } = await execa(program, args, { all: true, reject: false })
  if (!failed) return all
  throw new Error(`${what} could not be installed: ${[all, originalMessage].filter(Boolean).join('\n')}`)
}
