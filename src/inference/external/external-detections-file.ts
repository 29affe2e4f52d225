import { z } from 'zod'
import { messageOf } from '../../base/index.js'
import { type ExternalImage, outputError, sizeOf } from '../findings/external-output.js'
import type { Findings, FindingsOptions } from '../findings/findings.js'
import { addGiven, givenFindingsSchema } from '../findings/given-findings.js'

const entrySchema = givenFindingsSchema.extend({ image_id: z.string() })
type Entry = z.infer<typeof entrySchema>

/** `detections.json` of a detect command: one entry per image; images without a finding may be left out. */
const detectionsFileSchema = z.array(entrySchema)

export type DetectionsFileTarget = {
  readonly images: ReadonlyMap<string, ExternalImage>
  readonly findings: ReadonlyMap<string, Findings>
  readonly options: FindingsOptions
}

/** Adds the entries of the file to the findings of their images; throws LF_DETECT_OUTPUT naming entry and key. */
export async function addDetectionsFile(path: string, text: string, target: DetectionsFileTarget): Promise<void> {
  const entries = parseEntries(path, text)
  for (const [index, entry] of entries.entries()) {
    const where = `${path}: ${index}`
    const image = target.images.get(entry.image_id)
    const findings = target.findings.get(entry.image_id)
    if (image === undefined || findings === undefined) {
      throw outputError(`${where}.image_id "${entry.image_id}" is none of the images`)
    }
    addGiven(findings, entry, { size: await sizeOf(image), where, options: target.options })
  }
}

function parseEntries(path: string, text: string): Entry[] {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (cause) {
    throw outputError(`${path} is not JSON (${messageOf(cause)}); NaN and Infinity are not allowed in it`)
  }
  const parsed = detectionsFileSchema.safeParse(json)
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]
  throw outputError(`${path}: ${issue?.path.join('.')}: ${issue?.message}`)
}
