import { spawn } from 'node:child_process'
import process from 'node:process'
import { z } from 'zod'

const programSchema = z.strictObject({
  command: z.tuple([z.string().min(1)], z.string(), { error: 'must be a list: the program, then its arguments' }),
  env: z.record(z.string(), z.string()).optional(),
})

export type Ended = { readonly exitCode: number | null; readonly signal: NodeJS.Signals | null }

/**
 * Runs the program that a hook has answered, if it has, to its end. It writes to our log and is in our process group,
 * so that what ends us ends it too. Throws for an answer that is no program, or one that cannot be started.
 */
export async function runStarted(
  hook: string,
  started: unknown,
  training: { readonly folder: string },
): Promise<Ended> {
  if (started === undefined || started === null) return { exitCode: 0, signal: null }
  const parsed = programSchema.safeParse(started)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]
    throw new TypeError(`The hook "${hook}" answered no program: ${issue?.path.join('.')} ${issue?.message}.`)
  }
  const [program, ...args] = parsed.data.command
  const env = { ...process.env, ...parsed.data.env }
  const child = spawn(program, args, { cwd: training.folder, env, stdio: ['ignore', 'inherit', 'inherit'] })
  return new Promise((resolve, reject) => {
    child.once('error', (cause) => {
      reject(new Error(`The program "${program}" of the hook "${hook}" could not be started: ${cause.message}.`))
    })
    child.once('exit', (exitCode, signal) => resolve({ exitCode, signal }))
  })
}
