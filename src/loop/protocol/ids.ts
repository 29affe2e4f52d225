import { z } from 'zod'

const MAX_ID_LENGTH = 200
const ID_PATTERN = /^[a-z0-9][a-z0-9_.-]*$/i

/** Whether a text can be an organization's or project's id; such ids are also safe as names of folders. */
export function isLoopId(text: string): boolean {
  return text.length <= MAX_ID_LENGTH && ID_PATTERN.test(text) && !text.includes('..')
}

/** Id of an organization or a project: letters, digits, `_`, `-` and single dots. */
export const loopIdSchema = z
  .string()
  .refine(isLoopId, 'must be letters, digits, "_", "-" and single dots, with a letter or digit in front')

/** Whether a text counts as uuid for the Loop's nodes: 32 hex digits; hyphens, braces and `urn:uuid:` allowed. */
export function isUuid(text: string): boolean {
  if (text.length > MAX_ID_LENGTH) return false // the patterns below are slow on long rows of braces
  const digits = text
    .replace('urn:', '')
    .replace('uuid:', '')
    .replace(/^[{}]+|[{}]+$/g, '')
    .replaceAll('-', '')
  return /^[0-9a-f]{32}$/i.test(digits)
}
