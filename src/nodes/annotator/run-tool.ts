import { unlessAborted } from '../../loop/client/index.js'
import type { AnnotationInput, AnnotationTool, ToolResult } from './annotation-tool.js'
import { ToolTimeoutError } from './errors.js'
import { parseToolResult } from './tool-result.js'

/** One call of a tool, which may be somebody's own: bounded in time, and its answer is checked. */
export async function runTool(
  tool: AnnotationTool,
  input: AnnotationInput,
  history: unknown,
  { signal, timeoutMs }: { readonly signal: AbortSignal; readonly timeoutMs: number },
): Promise<ToolResult> {
  const late = new AbortController()
  const timer = setTimeout(() => late.abort(new ToolTimeoutError(timeoutMs)), timeoutMs)
  const either = AbortSignal.any([signal, late.signal])
  try {
    const work = Promise.resolve(tool.handleUserInput(input, history, { signal: either }))
    return parseToolResult(await unlessAborted(work, either))
  } finally {
    clearTimeout(timer)
  }
}
