import { basename, isAbsolute, join, relative } from 'node:path'
import { z } from 'zod'
import { readJsonFile, writeJsonFile } from '../../../base/index.js'
import { ModelNotConvertibleError } from '../../contract/index.js'

const FILE = 'converted.json'
const listSchema = z.array(z.string().min(1)).min(1).max(10_000)

/** Writes the list of files that a plug-in has made, from its child process for the worker. */
export async function writeConvertedList(workspace: string, files: readonly string[]): Promise<void> {
  await writeJsonFile(join(workspace, FILE), listSchema.parse(files))
}

/** Absolute paths of these files. Throws LF_MODEL_NOT_CONVERTIBLE for files that are not in the workspace. */
export async function readConvertedList(workspace: string, outputFolder: string): Promise<string[]> {
  const files = await readJsonFile(join(workspace, FILE), listSchema)
  if (files === undefined) throw new ModelNotConvertibleError('The converter has not said which files it made.')
  return files.map((file) => {
    const path = isAbsolute(file) ? file : join(outputFolder, file)
    const inside = relative(workspace, path)
    if (inside.startsWith('..') || isAbsolute(inside)) {
      throw new ModelNotConvertibleError(`The converter made "${file}", which is not in its folder.`, { file })
    }
    if (basename(path) === 'model.json') {
      throw new ModelNotConvertibleError('The converter made a model.json, which is made by loopfleet; leave it out.')
    }
    return path
  })
}
