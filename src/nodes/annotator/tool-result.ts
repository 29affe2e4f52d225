import { z } from 'zod'
import { describeError, segmentationAnnotationSchema } from '../../loop/protocol/index.js'
import type { ToolResult } from './annotation-tool.js'
import { AnnotationToolError } from './errors.js'

// What a Loop's page must draw over and over while somebody drags the mouse.
const MAX_SVG_CHARACTERS = 4_000_000

const toolResultSchema = z.object({
  svg: z.string().max(MAX_SVG_CHARACTERS),
  annotation: segmentationAnnotationSchema.nullish().transform((annotation) => annotation ?? undefined),
})

/** Checks what a tool has answered, which may be somebody's JavaScript; throws LF_ANNOTATION_TOOL. */
export function parseToolResult(value: unknown): ToolResult {
  const parsed = toolResultSchema.safeParse(value)
  if (parsed.success) return parsed.data
  throw new AnnotationToolError(`The annotation tool answered no result: ${describeError(parsed.error, value)}`)
}
