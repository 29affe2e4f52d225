import { constants } from 'node:fs'
import { access, readlink, stat } from 'node:fs/promises'
import { delimiter, dirname, isAbsolute, resolve } from 'node:path'
import { LoopfleetError } from '../base/index.js'

/** There is no such program on this machine. */
export class ProgramNotFoundError extends LoopfleetError {
  static {
    this.prototype.name = 'ProgramNotFoundError'
  }
  constructor(details: { readonly program: string; readonly searched: string; readonly linkTo?: string | undefined }) {
    const { program, searched, linkTo } = details
    const where = isAbsolute(program) ? '' : program.includes('/') ? ` in ${searched}` : ' on the PATH'
    const problem = linkTo === undefined ? `was not found${where}` : `is a link to ${linkTo}, which was not found`
    const message = `The program "${program}" ${problem}; install it or give its full path.`
    super('LF_PROGRAM_NOT_FOUND', message, { details })
  }
}

export type ProgramSearch = {
  /** Where a name with a slash begins. */
  readonly cwd: string
  /** The PATH to search for a bare name. */
  readonly path: string | undefined
}

const USUAL_PATH = '/usr/local/bin:/usr/bin:/bin'

/** The absolute path of an executable file, found as a shell would find it. Throws LF_PROGRAM_NOT_FOUND. */
export async function findProgram(program: string, search: ProgramSearch): Promise<string> {
  const path = search.path ?? USUAL_PATH
  const folders = program.includes('/') ? [search.cwd] : path.split(delimiter)
  for (const folder of folders) {
    const candidate = resolve(search.cwd, folder, program)
    if (program !== '' && !program.includes('\0') && (await isExecutable(candidate))) return candidate
  }
  const linkTo = program.includes('/') ? await danglingLink(resolve(search.cwd, program)) : undefined
  throw new ProgramNotFoundError({ program, searched: program.includes('/') ? search.cwd : path, linkTo })
}

/** Where a link leads to that leads nowhere, as in an environment whose Python was uninstalled; followed to its last step. */
async function danglingLink(path: string): Promise<string | undefined> {
  const target = await readlink(path).catch(() => undefined)
  if (target === undefined) return undefined
  const next = resolve(dirname(path), target)
  const isThere = await stat(next).then(
    () => true,
    () => false,
  )
  return isThere ? undefined : ((await danglingLink(next)) ?? next)
}

async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK)
    return (await stat(path)).isFile()
  } catch {
    return false // whatever hinders us hinders the start, too
  }
}
