import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { z } from 'zod'
import { messageOf } from '../../base/index.js'
import type { Logger } from '../../base/logger/index.js'
import type { AnnotationTool } from './annotation-tool.js'
import { AnnotationToolError } from './errors.js'

const isFunction = (value: unknown) => typeof value === 'function'
const method = z.custom(isFunction, { error: 'must be a function' })
const toolSchema = z.looseObject({
  createHistory: method,
  handleUserInput: method,
  logout: method.optional(),
  start: method.optional(),
  close: method.optional(),
})

/** Loads an annotation tool from a JavaScript module that exports `createTool({ log })`; throws LF_ANNOTATION_TOOL. */
export async function loadAnnotationTool(path: string, deps: { readonly log: Logger }): Promise<AnnotationTool> {
  const file = resolve(path)
  const exported = await importFile(file)
  if (!isFunction(exported.createTool)) {
    throw new AnnotationToolError(`${file} exports no function createTool, which makes the annotation tool.`)
  }
  const tool: unknown = await exported.createTool(deps)
  if (isTool(tool)) return tool
  const problem = toolSchema.safeParse(tool).error?.issues[0]
  const what = problem?.path.join('.') || `the tool (${typeof tool})`
  throw new AnnotationToolError(`createTool of ${file} answered no annotation tool: ${what} ${problem?.message}.`)
}

async function importFile(file: string): Promise<{ readonly createTool?: (deps: object) => unknown }> {
  try {
    return await import(pathToFileURL(file).href)
  } catch (cause) {
    throw new AnnotationToolError(`The annotation tool ${file} cannot be loaded: ${messageOf(cause)}.`, cause)
  }
}

function isTool(value: unknown): value is AnnotationTool {
  return toolSchema.safeParse(value).success
}
