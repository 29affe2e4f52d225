import { readFile } from 'node:fs/promises'
import { writeFileAtomic } from '../../base/index.js'

/** Names for images: local time with microseconds, each later in the alphabet than all before. */
export type Idents = {
  next(): Promise<string>
}

export type IdentsOptions = {
  /** File that holds a name which none given out so far has reached. */
  readonly file: string
  /** Names that are taken already. */
  readonly taken: Iterable<string>
}

const SHAPE = /^(\d{4})-(\d\d)-(\d\d)_(\d\d):(\d\d):(\d\d)\.(\d{3})(\d{3})?$/
/** So far ahead the file is written, which makes one more write in so much time. */
const RESERVED_MICROS = 5_000_000
/** A name beyond this year is no time, and counting on from it would leave the four digits. */
const LATEST = 9990

/**
 * Names that go on rising through clocks that are set back, the hour that summer time repeats, and restarts: what was
 * given out is known from the names on disk and from a file that is written ahead.
 */
export async function openIdents(options: IdentsOptions, deps: { readonly now: () => number }): Promise<Idents> {
  let reserved = parseIdent(await readText(options.file)) ?? 0
  let last = 0
  for (const name of options.taken) last = Math.max(last, parseIdent(name) ?? 0)
  if (localMicros(deps.now()) <= reserved) last = Math.max(last, reserved)
  let reserving: Promise<void> | undefined

  async function reserve(): Promise<void> {
    const ahead = Math.max(last, localMicros(deps.now())) + RESERVED_MICROS
    await writeFileAtomic(options.file, `${formatIdent(ahead)}\n`)
    reserved = ahead
  }

  return {
    async next() {
      last = Math.max(last + 1, localMicros(deps.now()))
      const mine = last
      while (mine >= reserved) {
        reserving ??= reserve().finally(() => {
          reserving = undefined
        })
        await reserving
      }
      return formatIdent(mine)
    },
  }
}

/** Microseconds of the wall clock since 1970, as if there were no time zones; undefined for other names. */
export function parseIdent(name: string): number | undefined {
  const match = SHAPE.exec(name.trim())
  if (match === null) return undefined
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, ms = 0] = match.slice(1, 8).map(Number)
  if (year > LATEST) return undefined
  return Date.UTC(year, month - 1, day, hour, minute, second, ms) * 1000 + Number(match[8] ?? 0)
}

function formatIdent(micros: number): string {
  const text = new Date(Math.floor(micros / 1000)).toISOString() // 2024-03-09T07:05:01.042Z
  return `${text.slice(0, 10)}_${text.slice(11, 23)}${String(micros % 1000).padStart(3, '0')}`
}

function localMicros(nowMs: number): number {
  const at = new Date(nowMs)
  const [year, month, day] = [at.getFullYear(), at.getMonth(), at.getDate()]
  const ms = Date.UTC(year, month, day, at.getHours(), at.getMinutes(), at.getSeconds(), at.getMilliseconds())
  return ms * 1000 + Math.floor((nowMs % 1) * 1000)
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch {
    return '' // then the clock and the names on disk are all there is to go by
  }
}
