import { appendFile, open, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { hasCode, readJsonFile } from '../base/files.js'
import { type FileLine, readJsonLines, tailJsonLines } from '../base/json-lines.js'
import type { Logger } from '../base/logger.js'
import type { EventQueue, QueuedEvent } from './event-queue.js'
import { EVENTS_FILE, type ModelEvent, parseEventLine, type TrainerEvent } from './events.js'

/** A place where events come from: followed while the program runs, drained once it has ended. */
export type EventSource = {
  follow(signal: AbortSignal): Promise<void>
  /** `endedWell`: with exit code 0, so that nothing was left half written. */
  drain(ending: { readonly endedWell: boolean }): Promise<void>
}

export type EventsFileOptions = {
  readonly workspace: string
  /** False forgets what an earlier program wrote; true hands over what nobody has dealt with. */
  readonly resume: boolean
}

const OFFSET_FILE = '.events-offset.json'
/** What tells, beside a checkpoint, which events of a workspace somebody has dealt with. */
export const eventFiles: readonly string[] = [EVENTS_FILE, OFFSET_FILE]

const offsetSchema = z.object({ offset: z.int().min(0) })
const EVERY_MS = 50
const SHOWN_BAD_LINES = 20

/**
 * Opens the events file of a workspace for a program that is about to start. A half line of a killed predecessor is
 * closed, since the first line of the new program would be glued to it.
 */
export async function openEventsFile(
  options: EventsFileOptions,
  deps: { readonly queue: EventQueue; readonly log: Logger },
): Promise<EventSource> {
  const path = join(options.workspace, EVENTS_FILE)
  const size = await closeHalfLine(path)
  const read = createLineReader(deps.log)
  let position = size

  function take(line: FileLine): void {
    position = line.endOffset
    const event = read(line)
    if (event !== undefined) deps.queue.push(toQueued(options.workspace, event, line.endOffset))
  }

  if (options.resume) {
    for (const queued of await leftOver(options.workspace, path, read)) deps.queue.push(queued)
  } else if (size > 0) {
    await saveOffset(options.workspace, size)
  } else {
    await rm(offsetPath(options.workspace), { force: true })
  }
  return {
    async follow(signal) {
      for await (const line of tailJsonLines(path, { signal, everyMs: EVERY_MS, from: size })) take(line)
    },
    async drain() {
      for await (const line of readJsonLines(path, { from: position })) take(line)
    },
  }
}

/** Files of models that the program has reported and nobody has dealt with, relative to the workspace. */
export async function unhandledModelFiles(workspace: string): Promise<string[]> {
  const files: string[] = []
  for await (const { line, tooLong } of readJsonLines(join(workspace, EVENTS_FILE), {
    from: await readOffset(workspace),
  })) {
    const parsed = tooLong === true ? undefined : parseEventLine(line)
    if (parsed?.ok && parsed.event.event === 'model') files.push(...Object.values(parsed.event.files).flat())
  }
  return files
}

function toQueued(workspace: string, event: TrainerEvent, endOffset: number): QueuedEvent {
  if (event.event === 'progress') return { event } // too many, and stale after a crash anyway
  return { event, confirm: () => saveOffset(workspace, endOffset) }
}

/**
 * Remembers up to where the events are dealt with, for the next start in this workspace. Whole or not at all when we
 * are killed, but without waiting for the disk: after a power cut some events are handed over twice.
 */
async function saveOffset(workspace: string, offset: number): Promise<void> {
  const path = offsetPath(workspace)
  await writeFile(`${path}.new`, JSON.stringify({ offset }))
  await rename(`${path}.new`, path)
}

/** What a program wrote before it was killed together with us; of its models only the last one can still be whole. */
async function leftOver(
  workspace: string,
  path: string,
  read: (line: FileLine) => TrainerEvent | undefined,
): Promise<QueuedEvent[]> {
  const queued: QueuedEvent[] = []
  for await (const line of readJsonLines(path, { from: await readOffset(workspace) })) {
    const event = read(line)
    if (event?.event === 'metrics' || event?.event === 'model') queued.push(toQueued(workspace, event, line.endOffset))
  }
  const last = queued.findLast(({ event }) => event.event === 'model')
  const kept = last?.event.event === 'model' && (await isWhole(workspace, last.event)) ? last : undefined
  return queued.filter((entry) => entry.event.event !== 'model' || entry === kept)
}

async function isWhole(workspace: string, event: ModelEvent): Promise<boolean> {
  const files = Object.values(event.files).flat()
  const there = await Promise.all(files.map((file) => isFile(join(workspace, file))))
  return there.every((found) => found)
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile()
  } catch {
    return false // what cannot be looked at cannot be used either
  }
}

/** Up to where the events of a workspace are dealt with. */
export async function readOffset(workspace: string): Promise<number> {
  try {
    return (await readJsonFile(offsetPath(workspace), offsetSchema))?.offset ?? 0
  } catch {
    return 0 // a spoilt note of ours only means that some events are handed over twice
  }
}

function offsetPath(workspace: string): string {
  return join(workspace, OFFSET_FILE)
}

async function closeHalfLine(path: string): Promise<number> {
  const tail = await lastByte(path)
  if (tail === undefined || tail.byte === 0x0a) return tail?.size ?? 0
  await appendFile(path, '\n')
  return tail.size + 1
}

async function lastByte(path: string): Promise<{ readonly size: number; readonly byte: number } | undefined> {
  try {
    const file = await open(path, 'r')
    try {
      const { size } = await file.stat()
      if (size === 0) return undefined
      const { buffer } = await file.read(Buffer.alloc(1), 0, 1, size - 1)
      return { size, byte: buffer[0] ?? 0x0a }
    } finally {
      await file.close()
    }
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  }
}

/** Lines that are no event are logged, the first ones, and otherwise passed over. */
function createLineReader(log: Logger): (line: FileLine) => TrainerEvent | undefined {
  let bad = 0
  return ({ line, tooLong }) => {
    const parsed = tooLong === true ? ({ ok: false, reason: 'too-long', line } as const) : parseEventLine(line)
    if (parsed.ok) return parsed.event
    bad += 1
    const { reason, problem } = parsed
    if (bad <= SHOWN_BAD_LINES)
      log.warn({ reason, problem, line: line.slice(0, 200) }, 'line of the events file ignored')
    return undefined
  }
}
