import { RefusedError } from '../refused-error.js'
import type { ReceivedPart } from './upload.js'

export type ImagePair = { readonly json: ReceivedPart; readonly image: ReceivedPart }

/** Pairs the JSON and image parts of an upload: by the stem of their names if that is unique, else by their order. */
export function pairParts(parts: readonly ReceivedPart[]): ImagePair[] {
  const jsons = parts.filter(isJson)
  const images = parts.filter((part) => !isJson(part))
  if (jsons.length !== images.length) {
    throw new RefusedError(422, `files: ${jsons.length} JSON parts and ${images.length} image parts do not pair.`)
  }
  const byStem = new Map(images.map((image) => [stemOf(image), image]))
  const stems = new Set(jsons.map(stemOf))
  const isUnique = byStem.size === images.length && stems.size === jsons.length
  return jsons.map((json, index) => {
    const image = (isUnique ? byStem.get(stemOf(json)) : undefined) ?? images[index]
    if (image === undefined) throw new RefusedError(422, `files: ${json.filename} has no image.`)
    return { json, image }
  })
}

function isJson({ filename, mimetype }: ReceivedPart): boolean {
  return filename.toLowerCase().endsWith('.json') || mimetype === 'application/json'
}

function stemOf({ filename }: ReceivedPart): string {
  return filename.replace(/\.[^.]*$/, '')
}
