import { type Autoupload, autouploads, type Dialect } from '../../loop/protocol/index.js'
import { fieldError } from './errors.js'

/** What a client says about the image that it wants to be looked at. */
export type DetectFacts = {
  readonly cameraId: string | null
  readonly tags: readonly string[]
  readonly source: string | null
  /** ISO 8601; when the picture was taken. */
  readonly creationDate: string | null
  readonly autoupload: Autoupload
}

/** The same before it was checked. */
export type GivenFacts = {
  readonly cameraId?: string | null
  readonly tags?: readonly string[] | null
  readonly source?: string | null
  readonly creationDate?: string | null
  readonly autoupload?: string | null
}

const MAX_TEXT = 1000
const MAX_TAGS = 100

/**
 * Checks what a client said. An unknown `autoupload` is refused (422), but in dialect 0.8 it means that nothing is
 * uploaded, as there.
 */
export function toImageFacts(given: GivenFacts, dialect: Dialect): DetectFacts {
  const tags = [...new Set((given.tags ?? []).map((tag) => tag.trim()).filter((tag) => tag !== ''))]
  if (tags.length > MAX_TAGS) throw fieldError('header', 'tags', `must be at most ${MAX_TAGS}, got ${tags.length}.`)
  return {
    cameraId: checkText('camera_id', given.cameraId),
    tags: tags.map((tag) => checkText('tags', tag) ?? ''),
    source: checkText('source', given.source),
    creationDate: checkDate(given.creationDate),
    autoupload: toAutoupload(given.autoupload, dialect),
  }
}

/** An ISO time, or the local time that nodes write; null when nothing was given. Throws a 422. */
export function checkDate(given: string | null | undefined): string | null {
  const text = checkText('creation_date', given)
  if (text === null || LOCAL_TIME.test(text) || !Number.isNaN(Date.parse(text))) return text
  throw fieldError('header', 'creation_date', `must be an ISO 8601 time, got ${JSON.stringify(text.slice(0, 60))}.`)
}

const LOCAL_TIME = /^\d{4}-\d\d-\d\d_\d\d:\d\d:\d\d(\.\d+)?$/

function checkText(name: string, given: string | null | undefined): string | null {
  if (given === undefined || given === null || given === '') return null
  if (given.length > MAX_TEXT) throw fieldError('header', name, `must be at most ${MAX_TEXT} signs long.`)
  return given
}

function toAutoupload(given: string | null | undefined, dialect: Dialect): Autoupload {
  if (given === undefined || given === null || given === '') return 'filtered'
  const known = autouploads.find((autoupload) => autoupload === given)
  if (known !== undefined) return known
  if (dialect === '0.8') return 'disabled'
  throw fieldError(
    'header',
    'autoupload',
    `must be one of ${autouploads.join(', ')}, got ${JSON.stringify(given.slice(0, 60))}.`,
  )
}
