import { access, mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import { messageOf, readJsonFile, removeTree } from '../../base/index.js'
import type { Logger } from '../../base/logger/index.js'
import { type Program, startProgram } from '../../process/index.js'
import { programEnvironment } from '../contract/index.js'
import { explainIssues } from '../definition/index.js'
import { PluginFileError } from './errors.js'
import { pluginCommand } from './plugin-command.js'

const answerSchema = z.discriminatedUnion('ok', [
  z.object({ ok: z.literal(true), description: z.unknown() }),
  z.object({ ok: z.literal(false), problem: z.string() }),
])
/** What the child process says about a plug-in. */
export type DescribeAnswer = z.infer<typeof answerSchema>

/** Which plug-in, and what of this process it may see. */
export type PluginSource = {
  /** Absolute. */
  readonly file: string
  /** This process's environment; the plug-in sees the allowed names only. */
  readonly env: Readonly<Record<string, string | undefined>>
  readonly timeoutMs?: number
}

export type DescribeOptions<Schema extends z.ZodType> = PluginSource & {
  /** Name of the export: `trainer` or `converter`. */
  readonly name: string
  /** What the export must be, with `hookSchema` for its functions. */
  readonly schema: Schema
}

const TIMEOUT_MS = 20_000

/**
 * Looks at a plug-in in a supervised child process, since loading it runs a stranger's code, and checks what it exports
 * against a schema. Throws LF_BAD_PLUGIN with file, key, value and the way out.
 */
export async function describePlugin<Schema extends z.ZodType>(
  options: DescribeOptions<Schema>,
  deps: { readonly log: Logger },
): Promise<z.output<Schema>> {
  const { file, schema } = options
  await access(file).catch((error: unknown) => {
    throw new PluginFileError(`cannot be read: ${messageOf(error)}.`, { file }, error)
  })
  const folder = await mkdtemp(join(tmpdir(), 'loopfleet-plugin-'))
  try {
    const description = await ask({ ...options, folder }, deps)
    const parsed = schema.safeParse(description)
    if (parsed.success) return parsed.data
    const { key, text } = explainIssues(parsed.error.issues, description, schema)
    throw new PluginFileError(text, { file, key })
  } finally {
    await removeTree(folder)
  }
}

type Ask = Omit<DescribeOptions<z.ZodType>, 'schema'> & { readonly folder: string }

async function ask({ file, name, env, folder, timeoutMs = TIMEOUT_MS }: Ask, deps: { readonly log: Logger }) {
  const answerFile = join(folder, 'answer.json')
  const program = await startProgram(
    {
      command: pluginCommand(new URL('./describe-main.js', import.meta.url), file, name, answerFile),
      cwd: dirname(file),
      env: programEnvironment({ env: {}, folder: dirname(file) }, { host: env, workspace: folder, gpus: [] }),
      logFile: join(folder, 'output.log'),
      owner: 'plugin',
      graceMs: 100,
    },
    deps,
  )
  const isLate = await endWhenLate(program, timeoutMs)
  const answer = await readJsonFile(answerFile, answerSchema).catch(() => undefined)
  if (answer?.ok === true) return answer.description
  if (answer !== undefined) throw new PluginFileError(`${answer.problem}.`, { file })
  if (isLate) throw new PluginFileError(`was not loaded within ${timeoutMs / 1000} s; does it loop or wait?`, { file })
  const last = program.lastLines().findLast((line) => line.trim() !== '')
  throw new PluginFileError(`ended the process that loaded it${last === undefined ? '' : `: ${last.trim()}`}.`, {
    file,
  })
}

async function endWhenLate(program: Program, timeoutMs: number): Promise<boolean> {
  let isLate = false
  const timer = setTimeout(() => {
    isLate = true
    void program.end()
  }, timeoutMs)
  await program.exited
  clearTimeout(timer)
  return isLate
}
