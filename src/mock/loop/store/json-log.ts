import { appendFile, mkdir, readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { z } from 'zod'
import { hasCode } from '../../../base/index.js'

/** A file of JSON lines that only grows; what was appended is there after a restart. */
export type JsonLog = {
  append(values: readonly unknown[]): Promise<void>
  /** Resolves when all that was appended is written. */
  drained(): Promise<void>
}

/** Opens a log and hands every readable line to `onEntry`; a line torn by a kill is skipped. */
export async function openJsonLog<Schema extends z.ZodType>(
  path: string,
  schema: Schema,
  onEntry: (entry: z.output<Schema>) => void,
): Promise<JsonLog> {
  await mkdir(dirname(path), { recursive: true })
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if (hasCode(error, 'ENOENT')) return ''
    throw error
  })
  for (const line of text.split('\n')) {
    const entry = parseLine(line, schema)
    if (entry !== undefined) onEntry(entry)
  }
  let tail: Promise<void> = text === '' || text.endsWith('\n') ? Promise.resolve() : appendFile(path, '\n')
  return {
    append: (values) => {
      const lines = values.map((value) => `${JSON.stringify(value)}\n`).join('')
      const written = tail.then(() => appendFile(path, lines))
      tail = written.catch(() => undefined) // the caller of that append gets the error; the next append tries again
      return written
    },
    drained: () => tail,
  }
}

function parseLine<Schema extends z.ZodType>(line: string, schema: Schema): z.output<Schema> | undefined {
  if (line === '') return undefined
  try {
    return schema.parse(JSON.parse(line))
  } catch {
    return undefined // half a line is what a kill leaves; the answer to its sender was never given
  }
}
