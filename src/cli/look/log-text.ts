import { createReadStream } from 'node:fs'
import { access } from 'node:fs/promises'
import process from 'node:process'
import { colouredText, OutputText, plainText } from '../../base/terminal/index.js'
import type { LogEntry, TrainingLog } from '../../queue/index.js'

export type ShownLog = {
  readonly id: string
  readonly hasEnded: boolean
  /** Where its programs' output lies if this machine is the host. */
  readonly file: string
  /** Printed where the log is empty, or where nobody works on it: why. */
  readonly silence: string
  readonly isWaiting: boolean
}

/** So many entries are more than the log in Redis holds. */
const ALL = 100_000

/**
 * Prints a log; with `follow` until what it belongs to has ended. The log in Redis has its end only, without what came
 * too fast: of what has ended the whole one is printed where this machine has it.
 */
export async function printLog(
  { id, hasEnded, file, silence, isWaiting }: ShownLog,
  { follow, signal }: { readonly follow: boolean; readonly signal: AbortSignal },
  log: Pick<TrainingLog, 'readLog' | 'followLog'>,
): Promise<void> {
  const isFollowed = follow && !hasEnded
  const entries = await log.readLog(id, { limit: isFollowed ? 1 : ALL })
  if (hasEnded && !isWhole(entries) && (await isReadable(file))) return await printFile(file, signal)
  if (!isFollowed) for (const { text } of entries) print(text)
  if (isWaiting || entries.length === 0) print(`[loopfleet: ${silence}]`)
  if (isFollowed) for await (const text of log.followLog(id, { signal })) print(text)
}

function isWhole(entries: readonly LogEntry[]): boolean {
  return (
    entries[0]?.offset === 0 && !entries.some(({ text }) => /\[loopfleet: \d+ lines were left out here;/.test(text))
  )
}

async function isReadable(file: string): Promise<boolean> {
  return await access(file).then(
    () => true,
    () => false,
  )
}

async function printFile(file: string, signal: AbortSignal): Promise<void> {
  print(`[loopfleet: everything that its programs printed, from ${file}]`)
  let lines: string[] = []
  const text = new OutputText({ onLine: (line) => lines.push(line) })
  const flush = async () => {
    const printed = lines.map(forReader).join('')
    lines = []
    if (printed === '' || process.stdout.write(printed)) return
    await new Promise((resolve) => process.stdout.once('drain', resolve)) // a pager reads as far as it shows
  }
  for await (const chunk of createReadStream(file)) {
    if (signal.aborted) return
    text.feed(chunk)
    await flush()
  }
  text.finish()
  await flush()
}

function print(text: string): void {
  process.stdout.write(forReader(text))
}

/** Whole lines; only a terminal gets colours, and nothing gets any other control sequence. */
function forReader(text: string): string {
  const hasColours = process.stdout.isTTY === true && process.stdout.hasColors()
  const shown = hasColours ? colouredText(text) : plainText(text)
  return shown.endsWith('\n') ? shown : `${shown}\n`
}
