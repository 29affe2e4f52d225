import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { LineCounter, parseDocument } from 'yaml'
import type { z } from 'zod'
import { type LoopfleetError, messageOf } from '../../base/index.js'
import { explainIssues } from './yaml-sentences.js'

/** A kind of YAML file that people write, and the class of its errors. */
export type YamlKind<Schema extends z.ZodType> = {
  /** `trainer` or `converter`. */
  readonly name: string
  readonly schema: Schema
  readonly fail: (
    message: string,
    details: { readonly file: string; readonly key?: string },
    cause?: unknown,
  ) => LoopfleetError
}

const MAX_FILE_BYTES = 1024 * 1024

/** The text of a definition file. */
export async function readYamlSource<Schema extends z.ZodType>(file: string, kind: YamlKind<Schema>): Promise<string> {
  const what = `${kind.name.charAt(0).toUpperCase()}${kind.name.slice(1)} file`
  try {
    const bytes = await readFile(file)
    if (bytes.length <= MAX_FILE_BYTES) return bytes.toString('utf8')
  } catch (error) {
    throw kind.fail(`${what} ${file} cannot be read: ${messageOf(error)}.`, { file }, error)
  }
  throw kind.fail(`${what} ${file} is larger than 1 MiB; is it really a ${kind.name}'s YAML file?`, { file })
}

/** The checked content of a definition file; errors name the file, the key, the value and the way out. */
export function checkYamlValue<Schema extends z.ZodType>(
  value: unknown,
  file: string,
  kind: YamlKind<Schema>,
): z.output<Schema> {
  const parsed = kind.schema.safeParse(value)
  if (parsed.success) return parsed.data
  const { key, text } = explainIssues(parsed.error.issues, value, kind.schema)
  throw kind.fail(`${basename(file)}: ${text} [${file}]`, key === undefined ? { file } : { file, key })
}

/** The value that a definition file holds. */
export function parseYaml<Schema extends z.ZodType>(source: string, file: string, kind: YamlKind<Schema>): unknown {
  const document = parseDocument(source, { lineCounter: new LineCounter(), prettyErrors: true })
  const error = document.errors[0]
  if (error !== undefined) {
    const line = error.linePos?.[0].line ?? 1
    const shown = JSON.stringify(source.split('\n')[line - 1]?.trim().slice(0, 80))
    const text = error.message.split('\n')[0]?.replace(/ at line \d+, column \d+:?$/, '')
    throw kind.fail(`${file}, line ${line} (${shown}): ${text}.`, { file }, error)
  }
  try {
    return document.toJS({ maxAliasCount: 100 })
  } catch (thrown) {
    throw kind.fail(`${file} cannot be read as YAML: ${messageOf(thrown)}.`, { file }, thrown)
  }
}
