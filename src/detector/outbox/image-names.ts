import { readFile } from 'node:fs/promises'
import { writeFileAtomic } from '../../base/index.js'

/** Names for images: local time with microseconds; each sorts after all names before it. */
export type ImageNames = {
  next(): Promise<string>
}

export type ImageNamesOptions = {
  /** File with a name that is later than all names given out so far. */
  readonly file: string
  /** Names that are taken already. */
  readonly taken: Iterable<string>
}

const SHAPE = /^(\d{4})-(\d\d)-(\d\d)_(\d\d):(\d\d):(\d\d)\.(\d{3})(\d{3})?$/
/** How far ahead of the last name the file is written; it is written once in this time. */
const RESERVED_MICROS = 5_000_000
/** A name with a later year is not taken for a time: names after it could need five digits. */
const LATEST = 9990

/**
 * Names rise also when the clock is set back, when the hour is repeated at the end of summer time, and after a restart: the last
 * name is known from the names on disk and from a file that is written ahead.
 */
export async function openImageNames(
  options: ImageNamesOptions,
  deps: { readonly now: () => number },
): Promise<ImageNames> {
  let reserved = parseImageName(await readText(options.file)) ?? 0
  let last = 0
  for (const name of options.taken) last = Math.max(last, parseImageName(name) ?? 0)
  if (localMicros(deps.now()) <= reserved) last = Math.max(last, reserved)
  let reserving: Promise<void> | undefined

  async function reserve(): Promise<void> {
    const ahead = Math.max(last, localMicros(deps.now())) + RESERVED_MICROS
    await writeFileAtomic(options.file, `${formatImageName(ahead)}\n`)
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
      return formatImageName(mine)
    },
  }
}

/** Microseconds of the wall clock since 1970, as if there were no time zones; undefined for other names. */
export function parseImageName(name: string): number | undefined {
  const match = SHAPE.exec(name.trim())
  if (match === null) return undefined
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, ms = 0] = match.slice(1, 8).map(Number)
  if (year > LATEST) return undefined
  return Date.UTC(year, month - 1, day, hour, minute, second, ms) * 1000 + Number(match[8] ?? 0)
}

function formatImageName(micros: number): string {
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
    return '' // then the next name follows from the clock and the names on disk
  }
}
