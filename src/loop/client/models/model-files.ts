import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { hasCode, messageOf, parsePythonJson } from '../../../base/index.js'
import { describeError, type ModelJson, modelJsonSchema } from '../../protocol/index.js'
import { ModelFilesError } from '../session/errors.js'

const MAX_MODEL_JSON_BYTES = 8 * 1024 * 1024

/** The checked model.json of an unpacked model; undefined when it has none. Throws LF_MODEL_FILES. */
export async function readModelJson(folder: string): Promise<ModelJson | undefined> {
  const text = await readBounded(join(folder, 'model.json'))
  if (text === undefined) return undefined
  let value: unknown
  try {
    value = parsePythonJson(text)
  } catch (cause) {
    throw new ModelFilesError(`The model.json of the downloaded model is not JSON: ${messageOf(cause)}.`, { cause })
  }
  const parsed = modelJsonSchema.safeParse(value)
  if (parsed.success) return parsed.data
  throw new ModelFilesError(
    `The model.json of the downloaded model is not as agreed: ${describeError(parsed.error, value)}`,
  )
}

async function readBounded(path: string): Promise<string | undefined> {
  const file = await open(path, 'r').catch((error: unknown) => {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  })
  if (file === undefined) return undefined
  try {
    const { size } = await file.stat()
    if (size > MAX_MODEL_JSON_BYTES)
      throw new ModelFilesError(`The model.json of the downloaded model has ${size} bytes.`)
    return await file.readFile('utf8')
  } finally {
    await file.close()
  }
}
