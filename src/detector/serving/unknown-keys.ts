import { imageMetadataSchema } from '../../loop/protocol/index.js'
import { type DetectorRequestError, fieldError } from './errors.js'

const MAX_KEYS = 100
const MAX_BYTES = 64 * 1024
const MAX_DEPTH = 20

/**
 * Keys that are never passed on: they name the image, its place at the Loop or what the Loop measures itself, and no
 * caller has a say in that; or they are those of every JavaScript object.
 */
const RESERVED = new Set([
  ...['id', 'image_id', 'date', 'set', 'width', 'height', 'organization', 'project', 'host'],
  ...['__proto__', 'constructor', 'prototype'],
])

/** The same metadata with what a newer client says beside it. Throws a 422 for more than the Loop should be sent. */
export function withUnknownKeys<Known extends object>(known: Known, given: unknown): Known {
  const unknown = unknownKeysOf(given)
  checkAmount(unknown)
  return { ...unknown, ...known }
}

/** What is in metadata besides the keys of the protocol and reserved ones. */
export function unknownKeysOf(metadata: unknown): Record<string, unknown> {
  if (typeof metadata !== 'object' || metadata === null || Array.isArray(metadata)) return {}
  const isUnknown = ([key]: [string, unknown]) => !Object.hasOwn(imageMetadataSchema.shape, key) && !RESERVED.has(key)
  return Object.fromEntries(Object.entries(metadata).filter(isUnknown))
}

function checkAmount(unknown: Record<string, unknown>): void {
  const keys = Object.keys(unknown)
  if (keys.length > MAX_KEYS) throw tooMuch(`must have at most ${MAX_KEYS} unknown keys, got ${keys.length}.`)
  const odd = keys.find((key) => !isJson(unknown[key], MAX_DEPTH))
  if (odd !== undefined) {
    const shown = JSON.stringify(odd.slice(0, 60))
    throw tooMuch(`must have JSON without bytes, at most ${MAX_DEPTH} levels deep, under the unknown key ${shown}.`)
  }
  const bytes = Buffer.byteLength(JSON.stringify(unknown))
  if (bytes > MAX_BYTES) throw tooMuch(`must have at most ${MAX_BYTES} bytes under unknown keys, got ${bytes}.`)
}

function isJson(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return true
  if (levels === 0 || ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return false
  return Object.values(value).every((one) => isJson(one, levels - 1))
}

function tooMuch(sentence: string): DetectorRequestError {
  return fieldError('body', 'metadata', sentence)
}
