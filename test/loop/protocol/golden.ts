import { readFileSync } from 'node:fs'

/** Reads a golden message of a dialect (`0.8`, `current`), of `both` or of the `union` of both. */
export function golden(folder: '0.8' | 'current' | 'both' | 'union', name: string): unknown {
  return JSON.parse(readFileSync(new URL(`../../fixtures/protocol/${folder}/${name}.json`, import.meta.url), 'utf8'))
}

/** What arrives at the other end: the value after JSON. */
export function sent(message: unknown): unknown {
  return JSON.parse(JSON.stringify(message))
}
